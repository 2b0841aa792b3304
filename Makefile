# Every target is one line to real code: ops/ for the platform, tests/ for the tests.
STACK ?= local
SERVICE ?=
SETTING ?=
DATA ?=
SECRETS ?=
SIMULATE ?=
JSON ?=
EXPORT ?=
BASE ?= origin/main
PULL ?=
REFRESH ?=
WORKLOADS ?=
SCENARIO ?=
SECONDS ?=
FULL ?=
ROUNDS ?= 5
TRACE ?=
STARTUP ?=
OUT ?=
ARCHIVE ?=
UNTIL ?=
ALIAS ?=
MODEL ?=
SLOWER ?=
MINUTES ?= 60
TO ?=
TIERS = $(addprefix tests/,stacks components policies engine autoscaler templates gateway edge e2e cloud kubernetes rehearsal ops docs bench images console upgrade second_opinion)
OPS = .venv/bin/python -m ops
# Progress goes to stderr, so that what a command prints can be piped on.
SETUP = @ops/setup.sh --stack $(STACK) >&2

.DEFAULT_GOAL := help
.PHONY: help setup bootstrap up down preview impact comment drift sbom cost dashboards preflight status logs smoke outputs trust untrust secret backup restore rotate-passphrase release promote rollback swap compare releases load test test-long browser control-plane scalers check rehearse replay second-opinion bench profile docs

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## prepare this machine: Python environment, Docker daemon, base image
	$(SETUP)

# Commands that need no daemon need the Python environment, as uv.lock describes it.
down cost dashboards preflight status logs smoke outputs trust untrust secret backup rotate-passphrase swap compare releases docs: .venv/compiled
.venv/compiled: uv.lock
	$(SETUP)

bootstrap: setup ## make what a stack on AWS needs before its first up: shared state, roles of CI (once)
	@$(OPS) bootstrap --stack $(STACK) $(if $(SIMULATE),--simulate)

up: setup ## bring the stack up and prove it with a completion over HTTP/3 (STACK=local); SIMULATE=1 in a simulated cloud
	@$(OPS) up --stack $(STACK) $(if $(SIMULATE),--simulate) $(if $(REFRESH),--refresh)

down: ## take the stack down, keeping its data; DATA=1 removes the data too
	@$(OPS) down --stack $(STACK) $(if $(DATA),--data) $(if $(SIMULATE),--simulate)

preview: setup ## show what up would change, break and cost; JSON=1 the plan as JSON
	@$(OPS) preview --stack $(STACK) $(if $(SIMULATE),--simulate) $(if $(JSON),--json)

impact: setup ## find out what this checkout changes on a stack beside BASE=origin/main, for make comment
	@.venv/bin/python -m ops.impact $(STACK) --base "$(BASE)" $(if $(SIMULATE),--simulate)

comment: .venv/compiled ## say as Markdown what make impact found; PULL=number writes it under a pull request
	@.venv/bin/python -m ops.comment $(if $(PULL),--pull "$(PULL)")

drift: setup ## say what was changed beside the stack's program, and what to do about it
	@.venv/bin/python -m ops.drift $(STACK) $(if $(SIMULATE),--simulate)

sbom: setup ## list what the stack's images and this package are made of, with their digests, into OUT=folder
	@.venv/bin/python -m ops.sbom $(STACK) $(if $(OUT),--out $(OUT))

cost: ## say what the stack costs a month, from list prices; JSON=1 as JSON
	@$(OPS) cost --stack $(STACK) $(if $(JSON),--json)

dashboards: ## write the stack's dashboards for Grafana into OUT=folder
	@$(OPS) dashboards --stack $(STACK) $(if $(OUT),--out $(OUT))

preflight: ## ask the AWS account for what the stack needs, and print what to request
	@$(OPS) preflight --stack $(STACK)

status: ## show the stack's containers and their health
	@$(OPS) status --stack $(STACK)

logs: ## follow the logs of all containers, or of SERVICE=gateway
	@$(OPS) logs --stack $(STACK) $(if $(SERVICE),--service $(SERVICE))

smoke: ## one completion over HTTP/3: protocol, node, time to first token
	@$(OPS) smoke --stack $(STACK)

outputs: ## print the stack's outputs; SECRETS=1 shows the secret ones
	@$(OPS) outputs --stack $(STACK) $(if $(SECRETS),--show-secrets) $(if $(SIMULATE),--simulate)

trust: ## have this user's browsers trust the stack's certificate authority
	@$(OPS) trust --stack $(STACK)

untrust: ## have them trust it no longer
	@$(OPS) untrust --stack $(STACK)

secret: ## encrypt SETTING=alerts.mail.password, typed or piped in, and print what is to be put into the stack file
	@$(OPS) secret --stack $(STACK) --setting "$(SETTING)"

backup: ## write database, models, state and encrypted secrets of a stack on this machine to an archive; OUT=file
	@$(OPS) backup --stack $(STACK) $(if $(OUT),--out $(OUT))

restore: setup ## bring a stack on this machine up as an archive has it: ARCHIVE=file
	@$(OPS) restore --stack $(STACK) $(if $(ARCHIVE),--archive $(ARCHIVE))

rotate-passphrase: ## encrypt the states of all stacks on this machine with another passphrase
	@.venv/bin/python -m ops.passphrase

release: setup ## try the checkout beside what runs, with more and more of the requests; UNTIL=25 holds it there
	@$(OPS) release --stack $(STACK) $(if $(UNTIL),--until "$(UNTIL)")

promote: setup ## go on with the release that is held, to the end
	@$(OPS) promote --stack $(STACK)

rollback: setup ## take the release back that is tried, or bring up the one before; TO=3 that one
	@$(OPS) rollback --stack $(STACK) $(if $(TO),--to "$(TO)")

swap: ## try another model behind an alias: ALIAS=chat MODEL=name, SLOWER=50 percent that it may take longer
	@$(OPS) swap --stack $(STACK) --alias "$(ALIAS)" --model "$(MODEL)" $(if $(SLOWER),--slower "$(SLOWER)")

compare: ## compare the variants of ALIAS=chat, or both releases while one is tried, over the last MINUTES=60
	@$(OPS) compare --stack $(STACK) --minutes "$(MINUTES)" $(if $(ALIAS),--alias "$(ALIAS)")

releases: ## list the releases that are kept
	@$(OPS) releases --stack $(STACK)

load: .venv/compiled ## put load on a stack that is up and judge it: SCENARIO=report, SECONDS=60 instead of its own length
	@$(OPS) load --stack $(STACK) --scenario "$(SCENARIO)" $(if $(SECONDS),--seconds $(SECONDS))

test: setup control-plane scalers browser ## run the tests in three processes, fast tiers first
	@.venv/bin/pytest -n 3 --no-loadscope-reorder $(TIERS)

test-long: setup control-plane scalers browser ## run the campaigns that take longer
	@.venv/bin/pytest -m long $(TIERS)

browser: ## install the browser of the tests, where it is missing
	@ops/browser.sh

control-plane: ## build the Kubernetes control plane of tests and rehearsals, once
	@rehearsal/controlplane/build.sh >/dev/null

scalers: .venv/compiled ## build what scales on it in rehearsals, once: Karpenter, KEDA, metrics-server
	@.venv/bin/python -m rehearsal.programs

check: setup ## formatters, linters, types, layers
	@ops/check.sh

rehearse: .venv/compiled ## rehearse the stack on a real control plane; SCENARIO=file plays another day, FULL=1 with real durations
	@.venv/bin/python -m rehearsal --stack $(STACK) $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(FULL),--full)

replay: .venv/compiled ## score how workers scale, with and without prediction: TRACE=csv STARTUP=seconds OUT=json
	@.venv/bin/python -m rehearsal.replay $(if $(TRACE),--trace $(TRACE)) $(if $(STARTUP),--startup $(STARTUP)) $(if $(OUT),--out $(OUT))

second-opinion: setup ## have checkov, kube-score and kubeconform judge the stack's plan; EXPORT=folder keeps it
	@.venv/bin/python -m ops.second_opinion $(STACK) $(if $(EXPORT),--export $(EXPORT))

bench: setup ## measure the gateway against nginx; WORKLOADS=w1,w4 only those, ROUNDS=5 of each
	@.venv/bin/python -m bench --rounds $(ROUNDS) $(if $(WORKLOADS),--workloads $(WORKLOADS))

profile: setup ## record what the gateway's compiler is to optimise for
	@.venv/bin/python -m bench.profile

docs: ## write the generated pages of docs/
	@.venv/bin/python -m ops.settings_page docs/settings.md && .venv/bin/python -m ops.policies_page docs/policies.md
