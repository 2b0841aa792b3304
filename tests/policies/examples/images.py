"""Images and charts."""

from tests.policies.examples import fails, kube, passes, thing
from tests.policies.examples.workloads import everywhere, init_container, workload

REPOSITORY = "aws:ecr/repository:Repository"
RELEASE = "helm.sh/v3:Release"

EXAMPLES = [
    fails("immutable-tags", thing(REPOSITORY), says="imageTagMutability is not set, which means MUTABLE"),
    fails("immutable-tags", thing(REPOSITORY, imageTagMutability="MUTABLE"), says="is MUTABLE"),
    passes("immutable-tags", thing(REPOSITORY, imageTagMutability="IMMUTABLE")),
    fails("scan-on-push", thing(REPOSITORY), says="scanOnPush is not true"),
    passes("scan-on-push", thing(REPOSITORY, imageScanningConfiguration={"scanOnPush": True})),
    *everywhere(
        "image-digest", "container main runs nginx:1.29, without a digest", container={"image": "nginx:1.29"}
    ),
    fails("image-digest", workload(pod=init_container(image="busybox")), says="container first runs busybox"),
    fails("chart-version", kube(RELEASE, chart="keda"), says="version is not set"),
    fails("chart-version", kube(RELEASE, chart="keda", version="^2.1.0"), says="version is ^2.1.0"),
    fails("chart-version", kube(RELEASE, chart="keda", version="2"), says="version is 2"),
    passes("chart-version", kube(RELEASE, chart="keda", version="2.17.1")),
    passes("chart-version", kube(RELEASE, chart="./charts/own")),
]
