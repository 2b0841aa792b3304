"""CloudFront in the graph: what is kept, from where, over what."""

from typing import Any

from components.aws.account import Account
from components.aws.cloudfront import Cloudfront, CloudfrontArgs
from components.http_cache import Source
from stacks.aws import CdnSettings
from tests.components.aws.conftest import of, statements
from tests.components.conftest import Graph, record_of

CONSOLE, API = "console.llm.example.org", "api.llm.example.org"
NOT_CACHED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"


def cloudfront(**hosts: Source) -> Graph:
    """Return the graph of a CDN before ``console``, and before ``api`` if it is named."""

    def build() -> None:
        served = {CONSOLE: Source.CONSOLE} | ({API: Source.API} if "api" in hosts else {})
        Cloudfront(
            "cdn",
            CloudfrontArgs(
                Account("prod", "111122223333", "eu-central-1"),
                CdnSettings(provider="cloudfront"),
                served,
                {host: f"arn:certificate:{host}" for host in served},
                ("origin.llm.example.org", 8443),
            ),
        )

    provided = {"console": {"bucketRegionalDomainName": "console.s3.example.org"}}
    return record_of(build, "prod", provided)


def distribution(graph: Graph, host: str = CONSOLE) -> dict[str, Any]:
    return of(graph, "cloudfront/distribution:Distribution")[host].inputs


def behaviours(graph: Graph, host: str = CONSOLE) -> dict[str, dict[str, Any]]:
    found = distribution(graph, host)
    special = {one["pathPattern"]: one for one in found.get("orderedCacheBehaviors", [])}
    return {**special, "*": found["defaultCacheBehavior"]}


def policy(graph: Graph, name: str) -> dict[str, Any]:
    return of(graph, "cloudfront/cachePolicy:CachePolicy")[name].inputs


def test_viewers_come_over_http3_and_a_modern_tls() -> None:
    found = distribution(cloudfront())
    assert found["httpVersion"] == "http2and3"
    assert found["isIpv6Enabled"] is True
    assert found["viewerCertificate"] == {
        "acmCertificateArn": f"arn:certificate:{CONSOLE}",
        "minimumProtocolVersion": "TLSv1.2_2021",
        "sslSupportMethod": "sni-only",
    }
    assert {one["viewerProtocolPolicy"] for one in behaviours(cloudfront()).values()} == {"redirect-to-https"}
    assert found["webAclId"] == "arn:aws:mock:::firewall"


def test_hashed_files_are_kept_for_a_year() -> None:
    graph = cloudfront()
    static = policy(graph, "static")
    assert static["minTtl"] == static["defaultTtl"] == static["maxTtl"] == 31_536_000
    assert behaviours(graph)["/assets/*"]["cachePolicyId"] == "static-id"


def test_public_answers_are_kept_for_minutes_where_their_origin_agrees_and_apart_by_key() -> None:
    graph = cloudfront()
    public = policy(graph, "public")
    assert (public["minTtl"], public["defaultTtl"], public["maxTtl"]) == (0, 0, 300)
    key = public["parametersInCacheKeyAndForwardedToOrigin"]
    assert key["headersConfig"] == {
        "headerBehavior": "whitelist",
        "headers": {"items": ["Authorization"]},
    }
    assert key["cookiesConfig"] == {"cookieBehavior": "none"}
    for path in ("/api/version", "/v1/models"):
        assert behaviours(graph)[path]["cachePolicyId"] == "public-id"
        assert behaviours(graph)[path]["allowedMethods"] == ["GET", "HEAD"]


def test_all_else_of_the_api_passes_through_and_is_not_kept() -> None:
    graph = cloudfront(api=Source.API)
    for found in (behaviours(graph)["/api/*"], behaviours(graph)["/ws"], behaviours(graph, API)["*"]):
        assert found["cachePolicyId"] == NOT_CACHED
        assert found["targetOriginId"] == "api"
        assert "POST" in found["allowedMethods"]
        assert found["compress"] is False


def test_the_first_path_that_fits_is_the_most_special_one() -> None:
    paths = list(behaviours(cloudfront()))
    assert paths.index("/api/version") < paths.index("/api/*")
    assert paths.index("/v1/models") < paths.index("/v1/*")


def test_the_console_is_compressed_and_asked_for_anew() -> None:
    graph = cloudfront()
    pages = policy(graph, "pages")
    assert pages["maxTtl"] == 1
    assert pages["parametersInCacheKeyAndForwardedToOrigin"]["enableAcceptEncodingBrotli"] is True
    assert behaviours(graph)["*"]["compress"] is True
    assert distribution(graph)["defaultRootObject"] == "index.html"


def test_viewers_keep_a_hashed_file_and_never_that_one_was_missing() -> None:
    graph = cloudfront()
    code = of(graph, "cloudfront/function:Function")["cdn-keep"].inputs["code"]
    assert "'public, max-age=31536000, immutable'" in code
    # CloudFront calls no function for an answer of 400 or more, and a policy of headers holds for these, too.
    headers = of(graph, "cloudfront/responseHeadersPolicy:ResponseHeadersPolicy")["static"].inputs
    assert "customHeadersConfig" not in headers


def test_no_error_is_kept() -> None:
    errors = distribution(cloudfront())["customErrorResponses"]
    assert {404, 500, 503} <= {error["errorCode"] for error in errors}
    assert {error["errorCachingMinTtl"] for error in errors} == {0}


def test_the_edge_is_reached_over_tls_on_the_port_that_is_the_cdns() -> None:
    origins = {one["originId"]: one for one in distribution(cloudfront())["origins"]}
    edge = origins["api"]
    assert edge["domainName"] == "origin.llm.example.org"
    assert edge["customOriginConfig"] == {
        "httpPort": 80,
        "httpsPort": 8443,
        "originProtocolPolicy": "https-only",
        "originSslProtocols": ["TLSv1.2"],
        "originReadTimeout": 60,
        "originKeepaliveTimeout": 60,
    }
    assert origins["console"]["originAccessControlId"] == "cdn-id"


def test_cloudfront_alone_reads_the_consoles_bucket() -> None:
    graph = cloudfront()
    _, reading = statements(of(graph, "s3/bucketPolicy:BucketPolicy")["console"].inputs["policy"])
    assert reading["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert reading["Action"] == ["s3:GetObject"]
    assert reading["Condition"] == {
        "ArnLike": {"aws:SourceArn": "arn:aws:cloudfront::111122223333:distribution/*"}
    }


def test_the_firewall_writes_once_the_bucket_lets_it() -> None:
    (logging,) = of(cloudfront(), "wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration").values()
    assert "aws:s3/bucketPolicy:BucketPolicy::cdn-logs" in logging.depends_on


def test_an_api_behind_the_cdn_has_a_distribution_without_the_console() -> None:
    graph = cloudfront(api=Source.API)
    assert [one["originId"] for one in distribution(graph, API)["origins"]] == ["api"]
    assert distribution(graph, API)["aliases"] == [API]
    assert {*of(graph, "cloudwatch/logDelivery:LogDelivery")} == {CONSOLE, API}
