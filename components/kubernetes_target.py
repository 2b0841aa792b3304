"""The kubernetes target: services as workloads of a cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.batch import v1 as batch
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.networking import v1 as networking
from pulumi_kubernetes.policy import v1 as policy
from pulumi_kubernetes.rbac import v1 as rbac
from pulumi_kubernetes.scheduling import v1 as scheduling

from components import cluster_files, manifests, naming, network_policies, pods
from components.cluster import Cluster
from components.cluster_scaling import Scalers, ScalingArgs
from components.cluster_volumes import SharedVolume, SharedVolumes
from components.images import Images
from components.pods import Manifest
from components.service import ApiUse, Outside, Placed, Priority, Service
from stacks.kubernetes import KubernetesSettings

PRIORITIES = {Priority.DATA: 100_000, Priority.SERVING: 10_000, Priority.BATCH: 1000}
POD_SECURITY = "restricted"
NODE_LOCAL_DNS = "169.254.20.10/32"
"""Where pods find the DNS cache of their own node, on clusters that have one."""
KEDA_OPERATOR = {"app": "keda-operator"}
"""Labels of the pods that read Prometheus for autoscalers, however KEDA was installed."""
SKIP_AWAIT = {"annotations": {"pulumi.com/skipAwait": "true"}}
JOB_TIMEOUT_S = 7200
"""A job may download models."""


@dataclass(frozen=True)
class KubernetesTargetArgs:
    """What the kubernetes target needs."""

    settings: KubernetesSettings
    stack: str
    version: str
    """Version of the platform, a label on its objects."""
    images: Images
    provider: kubernetes.Provider
    shared_volumes: Mapping[str, SharedVolume] = field(default_factory=dict)
    """Shared volumes that exist; any other one is made as ``settings.model_store`` says."""
    spot_pools: frozenset[str] = frozenset()
    """Node pools whose nodes may be interrupted with 120 s notice."""
    gpu_resource: Mapping[str, str] = field(default_factory=dict)
    """Node pool → the resource that its GPUs, or slices of one, are called; ``nvidia.com/gpu`` else."""
    api_server: Outside | None = None
    """Where the API server is, for services that follow their peers."""
    resolvers: Sequence[pulumi.Input[str]] = (NODE_LOCAL_DNS,)
    """Addresses, as CIDR, of DNS servers that are no pods: EKS Auto Mode has only such."""
    scaling: ScalingArgs | None = None
    """What autoscalers need, where a service has one."""


class KubernetesTarget(pulumi.ComponentResource):
    """The stack's namespace: closed to all traffic that no service declares, and to privileged pods."""

    def __init__(
        self,
        name: str,
        args: KubernetesTargetArgs,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the namespace once everything in ``after`` is ready."""
        super().__init__("ollamamax:index:KubernetesTarget", name, None, opts)
        self._args = args
        settings = args.settings
        cluster = Cluster(settings.namespace, args.stack, args.version, args.provider)
        labels = {f"pod-security.kubernetes.io/{mode}": POD_SECURITY for mode in ("enforce", "audit", "warn")}
        namespace = core.Namespace(
            "namespace",
            metadata={"name": settings.namespace, "labels": cluster.labels("namespace") | labels},
            opts=cluster.opts(self, after),
        )
        # What is made in the namespace takes its name from it, and so comes after it and goes before it.
        self._cluster = Cluster(namespace.metadata.name, args.stack, args.version, args.provider)
        self._volumes = SharedVolumes(self, self._cluster, settings.model_store, args.shared_volumes)
        for priority, value in PRIORITIES.items():
            scheduling.PriorityClass(
                priority.value,
                metadata={"name": self._priority_class(priority), "labels": cluster.labels(priority.value)},
                value=value,
                description=f"{priority.value} of the OllamaMax stack {args.stack}",
                # A batch job waits for room; it takes none from others.
                preemption_policy="Never" if priority is Priority.BATCH else "PreemptLowerPriority",
                opts=cluster.opts(self, after),
            )
        self._policies = [
            self._policy("deny-all", network_policies.DENY_ALL, self),
            self._policy("dns", network_policies.dns(args.resolvers), self),
        ]
        self._scalers = self._scale(args.scaling) if args.scaling else None
        self.register_outputs({"namespace": self.namespace})

    @property
    def namespace(self) -> pulumi.Output[str]:
        """The namespace's name, known once it is there."""
        return pulumi.Output.from_input(self._cluster.namespace)

    def service_account(self, service_name: str) -> str:
        """Return the name of the account that the pods of ``service_name`` have, and no others."""
        return service_name

    def addresses(self, service_name: str, replicas: int) -> Sequence[str]:
        """Return the name of the service's one stable address, twice, however many replicas there are.

        The cluster spreads connections over those that are ready. nginx tries each entry of its list once:
        the second entry is its second try, which the cluster may send to another replica.
        """
        return [service_name] * 2

    def place(
        self, service: Service, parent: pulumi.Resource, after: Sequence[pulumi.Resource] = ()
    ) -> Placed:
        """Create the workload of ``service``, and what surrounds it, as children of ``parent``."""
        files = cluster_files.place(service, self._cluster, parent)
        account = core.ServiceAccount(
            service.name,
            metadata=self._cluster.metadata(service.name),
            automount_service_account_token=False,
            opts=self._cluster.opts(parent),
        )
        claims = [self._volumes.claim(volume.name) for volume in pods.shared_volumes(service)]
        # Nothing of these flows into the workload: without the order its pods would fail, or run unwatched.
        before = [*after, *files.made, account, *claims, *self._policies, *self._admit(service, parent)]
        if service.asks_api:
            before.append(self._let_ask(service, service.asks_api, account, parent))
        workload = self._workload(service, self._template(service, files.volume), parent, before)
        if service.runs_to_completion:
            return Placed([workload], [])
        addresses = self.addresses(service.name, service.replicas) if service.fixed_address else []
        return Placed([workload, *self._around(service, workload, parent)], addresses)

    def lead(self, name: str, service: Service, parent: pulumi.Resource) -> Sequence[pulumi.Resource]:
        """Create the Service ``name``, whose one address leads to the pods of ``service``.

        It waits for none of them: who goes by the name needs it to start, and comes after what serves.
        """
        spec = manifests.cluster_service(service, self._args.stack, self._args.settings)
        metadata, opts = self._cluster.metadata(name) | SKIP_AWAIT, self._cluster.opts(parent)
        return [core.Service(name, metadata=metadata, spec=spec, opts=opts)]

    def _scale(self, args: ScalingArgs) -> Scalers:
        """Let KEDA in to Prometheus."""
        prometheus, stack = args.prometheus, self._args.stack
        policy = network_policies.from_elsewhere(
            prometheus.service, prometheus.port, args.keda_namespace, KEDA_OPERATOR, stack
        )
        self._policies.append(self._policy(f"{prometheus.service}-from-keda", policy, self))
        return Scalers(self, self._cluster, self._args.settings.namespace, args)

    def _template(self, service: Service, files: Manifest | None) -> Manifest:
        args, pool = self._args, service.node_pool or ""
        placement = pods.Placement(
            stack=args.stack,
            image=args.images.reference(service.image),
            priority_class=self._priority_class(service.priority),
            gpu_resource=args.gpu_resource.get(pool, pods.GPU),
            spot=pool in args.spot_pools,
            files=files,
            settings=args.settings,
        )
        return pods.pod_template(service, placement)

    def _workload(
        self,
        service: Service,
        template: Manifest,
        parent: pulumi.Resource,
        before: Sequence[pulumi.Resource],
    ) -> pulumi.Resource:
        name, cluster, settings = service.name, self._cluster, self._args.settings
        opts = cluster.opts(parent, before)
        workload: pulumi.Resource
        if service.runs_to_completion:
            # Named by its content: a change of anything in it makes a new job, and an unchanged one none.
            digest = pulumi.Output.json_dumps(template).apply(lambda text: naming.digest({"": text}))
            metadata = cluster.metadata(name, pulumi.Output.concat(name, "-", digest), JOB_TIMEOUT_S)
            workload = batch.Job(name, metadata=metadata, spec=manifests.job(service, template), opts=opts)
            return workload
        spot = service.node_pool in self._args.spot_pools
        standstill_s = manifests.standstill_s(service, settings, spot)
        metadata = cluster.metadata(name, ready_within_s=manifests.rollout_s(service, standstill_s))
        if pods.own_volumes(service):
            spec = manifests.stateful_set(service, self._args.stack, template, settings)
            workload = apps.StatefulSet(name, metadata=metadata, spec=spec, opts=opts)
        else:
            spec = manifests.deployment(service, self._args.stack, template, standstill_s)
            # The autoscaler is the count's only writer. Were the count left out, it would fall to one where
            # it was written before: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
            opts.ignore_changes = ["spec.replicas"] if service.scaling else None
            workload = apps.Deployment(name, metadata=metadata, spec=spec, opts=opts)
        return workload

    def _around(
        self, service: Service, workload: pulumi.Resource, parent: pulumi.Resource
    ) -> list[pulumi.Resource]:
        """Create what stands before a workload, or watches over it, once it is ready.

        A Service counts as ready when it has pods: made earlier, it would have to wait as long as they do. On
        the way down it goes first, so that no request is sent to what is about to stop.
        """
        name, stack, opts = service.name, self._args.stack, self._cluster.opts(parent, [workload])
        metadata = self._cluster.metadata(name)
        budget = manifests.disruption_budget(service, stack)
        around: list[pulumi.Resource] = [
            policy.PodDisruptionBudget(name, metadata=metadata, spec=budget, opts=opts)
        ]
        if service.scaling:
            if self._scalers is None:
                raise ValueError(f"{name} has an autoscaler, and the target nothing that autoscalers need")
            around.append(self._scalers.scale(service, service.scaling, workload, parent))
        if service.ports:
            spec = manifests.cluster_service(service, stack, self._args.settings)
            mark = {} if spec["type"] == "ClusterIP" else manifests.EXPOSED
            # It has no pods while the autoscaler has taken the last one away.
            mark = mark | ({} if manifests.fewest(service) else SKIP_AWAIT)
            around.append(core.Service(name, metadata=metadata | mark, spec=spec, opts=opts))
        if service.headless and manifests.has_stable_address(service):
            all_ = f"{name}-each"
            spec = manifests.each(service, stack)
            around.append(core.Service(all_, metadata=self._cluster.metadata(all_), spec=spec, opts=opts))
        return around

    def _admit(self, service: Service, parent: pulumi.Resource) -> list[pulumi.Resource]:
        """Create the policies by which the service and its peers may do what it declares."""
        stack = self._args.stack
        own = network_policies.own(service, stack, self._args.api_server)
        policies = {service.name: own}
        for peer, ports in network_policies.peers(service.talks_to).items():
            policies[f"{service.name}-to-{peer}"] = network_policies.to_peer(service, peer, ports, stack)
        for peer, ports in network_policies.peers(service.asked_by).items():
            policies[f"{service.name}-from-{peer}"] = network_policies.from_peer(service, peer, ports, stack)
        return [self._policy(name, spec, parent) for name, spec in policies.items()]

    def _let_ask(
        self, service: Service, use: ApiUse, account: core.ServiceAccount, parent: pulumi.Resource
    ) -> rbac.RoleBinding:
        """Give the service's account the right to what it asks the API server for, and to nothing else."""
        metadata, opts = self._cluster.metadata(service.name), self._cluster.opts(parent)
        role = rbac.Role(service.name, metadata=metadata, rules=manifests.API_RULES[use], opts=opts)
        return rbac.RoleBinding(
            service.name,
            metadata=metadata,
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role.metadata.name},
            subjects=[{"kind": "ServiceAccount", "name": account.metadata.name, "namespace": self.namespace}],
            opts=opts,
        )

    def _policy(self, name: str, spec: Manifest, parent: pulumi.Resource) -> networking.NetworkPolicy:
        return networking.NetworkPolicy(
            name, metadata=self._cluster.metadata(name), spec=spec, opts=self._cluster.opts(parent)
        )

    def _priority_class(self, priority: Priority) -> str:
        """Return the name of the stack's own class: classes belong to the whole cluster."""
        return f"{self._args.settings.namespace}-{priority.value}"
