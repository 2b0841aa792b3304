"""Plain text where a secret belongs."""

from policies.values import SecretText
from tests.policies.examples import fails, kube, passes, thing
from tests.policies.examples.workloads import workload

DATABASE = "aws:rds/instance:Instance"
CONTAINER = "docker:index/container:Container"
PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----"
AWS_KEY = "AKIA" + "Q" * 16
TOKEN = "ghp_" + "a" * 36
ENV = [{"name": "LOG_LEVEL", "value": "info"}, {"name": "DATABASE_PASSWORD", "value": "hunter2"}]

EXAMPLES = [
    fails(
        "plain-text-secret",
        thing(DATABASE, password="hunter2"),
        says="password is called password, and no secret",
    ),
    fails(
        "plain-text-secret",
        thing("a:b:C", nested=[{"apiKey": "x"}]),
        says="nested[0].apiKey is called apiKey",
    ),
    fails("plain-text-secret", thing("a:b:C", text=f"key:\n{PEM}"), says="text is a private key"),
    fails(
        "plain-text-secret",
        thing("a:b:C", userData=f"export ID={AWS_KEY}"),
        says="userData is an AWS access key",
    ),
    fails("plain-text-secret", thing("a:b:C", args=["--auth", TOKEN]), says="args[1] is a token"),
    fails(
        "plain-text-secret",
        thing("a:b:C", url="postgresql://admin:hunter2@db/main"),
        says="url is a password in a URL",
    ),
    fails(
        "plain-text-secret",
        thing(CONTAINER, envs=["LOG_LEVEL=info", "POSTGRES_PASSWORD=hunter2"]),
        says="envs[1] is the value of POSTGRES_PASSWORD",
    ),
    fails(
        "plain-text-secret",
        workload(container={"env": ENV}),
        says="spec.template.spec.containers[0].env[1].value is the value of DATABASE_PASSWORD",
    ),
    fails(
        "plain-text-secret",
        kube("core/v1:Secret", stringData={"pgbouncer.ini": "x"}),
        says="stringData.pgbouncer.ini is the content of a Secret",
    ),
    fails(
        "plain-text-secret",
        thing("aws:secretsmanager/secretVersion:SecretVersion", secretString="x"),
        says="secretString is called secretString",
    ),
    passes(
        "plain-text-secret",
        thing(DATABASE, password=SecretText("hunter2"), masterUserSecretKmsKeyId="alias/x"),
    ),
    passes("plain-text-secret", thing("a:b:C", text=SecretText(PEM), url="postgresql://db/main")),
    passes(
        "plain-text-secret",
        thing(CONTAINER, envs=[SecretText("POSTGRES_PASSWORD=hunter2"), "PASSWORD_FILE=/x"]),
    ),
    passes(
        "plain-text-secret",
        workload(
            pod={"automountServiceAccountToken": False, "volumes": [{"secret": {"secretName": "tls"}}]},
            container={
                "env": [
                    {
                        "name": "PASSWORD",
                        "valueFrom": {"secretKeyRef": {"name": "database", "key": "password"}},
                    }
                ]
            },
        ),
    ),
    passes(
        "plain-text-secret", kube("core/v1:Secret", stringData={"password": SecretText("x")}, type="Opaque")
    ),
    passes(
        "plain-text-secret",
        thing("aws:ec2/launchTemplate:LaunchTemplate", metadataOptions={"httpTokens": "required"}),
    ),
]
