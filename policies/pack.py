"""The pack: every rule as a policy of Pulumi's."""

from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from policies import (
    buckets,
    budget,
    encryption,
    exposure,
    iam,
    images,
    nodes,
    plaintext,
    protection,
    scaling,
    tagging,
    transport,
    workloads,
)
from policies.rule import Resource, Rule, Stack
from policies.values import Properties, document, keep_secrets_marked, opened

NAME = "ollamamax"
MODULES = (
    exposure,
    buckets,
    encryption,
    transport,
    iam,
    plaintext,
    protection,
    tagging,
    images,
    workloads,
    scaling,
    nodes,
    budget,
)
RULES: list[Rule] = [one for module in MODULES for one in vars(module).values() if isinstance(one, Rule)]

_inputs: dict[str, Properties] = {}
"""What was asked for, by URN. The stack's rules judge that, too: what they are handed is what the cloud made
of it, where a replica count that the API server filled in looks like one that the program wrote."""


def serve() -> None:
    """Serve the pack to the engine that started this process; never returns."""
    keep_secrets_marked()
    PolicyPack(NAME, [_policy(one) for one in RULES])


def _policy(rule: Rule) -> Policy:
    about: dict[str, Any] = {
        "name": rule.id,
        "description": rule.what,
        "enforcement_level": EnforcementLevel(rule.level),
        "config_schema": PolicyConfigSchema(dict(rule.settings)) if rule.settings else None,
        "remediation_steps": rule.remedy,
    }
    if rule.about_stack:
        return StackValidationPolicy(validate=lambda args, report: _judge_stack(rule, args, report), **about)
    return ResourceValidationPolicy(validate=lambda args, report: _judge(rule, args, report), **about)


def _judge(rule: Rule, args: ResourceValidationArgs, report: ReportViolation) -> None:
    if rule.on is None or args.resource_type in rule.on:
        _inputs[args.urn] = opened(args.props)
        for message in rule.check(_resource(args, config=_config(rule, args))):
            report(f"{message}\n{rule.remedy}", None)


def _judge_stack(rule: Rule, args: StackValidationArgs, report: ReportViolation) -> None:
    resources = [
        _resource(one, refers={key: [to.urn for to in tos] for key, tos in one.property_dependencies.items()})
        for one in args.resources
    ]
    for found, message in rule.check(Stack(resources, _config(rule, args))):
        report(f"{message}\n{rule.remedy}", found.urn if found else None)


def _config(rule: Rule, args: ResourceValidationArgs | StackValidationArgs) -> Properties:
    return rule.default_config() | dict(opened(args.get_config()))


def _resource(args: ResourceValidationArgs | PolicyResource, **about: Any) -> Resource:  # noqa: ANN401
    props = _inputs[args.urn] if args.urn in _inputs else opened(args.props)
    tags = _default_tags(opened(args.provider.props)) if args.provider else {}
    return Resource(
        args.resource_type,
        args.name,
        args.urn,
        props,
        args.opts.protect,
        frozenset(args.opts.ignore_changes),
        tags,
        **about,
    )


def _default_tags(provider: Properties) -> Properties:
    tags = document(provider.get("defaultTags", {}))
    found = tags.get("tags") if isinstance(tags, dict) else None
    return found if isinstance(found, dict) else {}
