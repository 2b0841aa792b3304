"""Tags."""

from policies.tagging import TAGGED
from tests.policies.examples import fails, passes, thing

TAGS = {"project": "ollamamax", "stack": "prod", "managed-by": "pulumi"}

EXAMPLES = [
    *(
        example
        for kind in TAGGED
        for example in (
            fails("required-tags", thing(kind), says="tags are missing: project, stack, managed-by"),
            passes("required-tags", thing(kind, tags=TAGS)),
        )
    ),
    fails(
        "required-tags",
        thing(TAGGED[0], tags={"Project": "x", "stack": ""}),
        says="missing: stack, managed-by",
    ),
    fails("required-tags", thing(TAGGED[0], tags=TAGS), says="missing: owner", config={"tags": ["owner"]}),
    passes("required-tags", thing(TAGGED[0], tagsAll=TAGS)),
    passes("required-tags", thing(TAGGED[0], "it", {"default_tags": TAGS}, tags={"stack": "prod"})),
]
