# A menu. What stands behind it is in lab/cli and scripts/operator.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export STACK ?= dev
export ARGS JSON MEMBER KIND SECONDS HOW FAULT ROLL COST EXAMPLE
NODE := node_modules/.bin/node --disable-warning=ExperimentalWarning
LAB := $(NODE) lab/cli/main.ts

# npm's own record of what it installed: older than the lockfile means that there is something to install.
node_modules/.package-lock.json: package-lock.json
	@echo "== npm packages" >&2
	@npm ci --no-audit --no-fund --loglevel=error >&2
	@touch $@

.PHONY: help up lab down env status verify etcdctl ssh logs alarms backup replace fault recover fence restore test test-quick test-crash test-faults test-rolls test-runbooks test-security test-cost test-examples clean preflight

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {gsub(/\$$\$$/, "$$", $$2); printf "  make %-12s %s\n", $$1, $$2}' Makefile

preflight: ## say what this host lacks for the lab; install missing Debian and npm packages
	@bash lab/cli/preflight.sh

up: preflight ## everything: set-up, the lab, `pulumi up`; STACK=dev (three members) or prod (five)
	@$(LAB) up

lab: preflight ## only the lab, empty: for other Pulumi projects, see docs/lab.md
	@$(LAB) lab

down: node_modules/.package-lock.json ## destroy the cluster and remove everything of the lab
	@$(LAB) down

env: node_modules/.package-lock.json ## exports for a shell with plain pulumi: eval "$$(make -s env)"
	@$(LAB) env

status: node_modules/.package-lock.json ## the members, one row each; JSON=1 for programs
	@$(LAB) status

verify: node_modules/.package-lock.json ## prove again that every member is healthy
	@$(LAB) operator verify

etcdctl: node_modules/.package-lock.json ## etcdctl on a member: make etcdctl ARGS="get --prefix /"
	@$(LAB) operator etcdctl --

ssh: node_modules/.package-lock.json ## a shell on a member through the bastion: make ssh MEMBER=m1
	@$(LAB) operator ssh --member "$${MEMBER:?which one? for example MEMBER=m1}"

logs: node_modules/.package-lock.json ## a member's journal: make logs MEMBER=m1
	@$(LAB) operator logs --member "$${MEMBER:?which one? for example MEMBER=m1}"

alarms: node_modules/.package-lock.json ## the alarms, and what to do about those that are raised
	@$(LAB) operator alarms

backup: node_modules/.package-lock.json ## take a backup now, on the leader, and print its key; JSON=1 for programs
	@$(LAB) operator backup $(if $(JSON),--json) $(if $(MEMBER),--member "$$MEMBER")

fault: node_modules/.package-lock.json ## break something on purpose: make fault KIND=machine MEMBER=leader; alone it lists the kinds
	@$(LAB) fault

recover: node_modules/.package-lock.json ## after a killed `pulumi up`: dead lock and orphans; ARGS=--apply acts
	@$(LAB) operator recover-state

fence: node_modules/.package-lock.json ## take members' machines away: make fence MEMBER=m2,m3 ARGS="--confirm NAME"; ARGS=--release gives them back
	@$(LAB) operator fence --members "$${MEMBER:?which ones? for example MEMBER=m2,m3}"

restore: node_modules/.package-lock.json ## the next generation by hand: a dry run; ARGS="--confirm NAME" acts, see docs/membership.md
	@$(LAB) operator restore

replace: node_modules/.package-lock.json ## give a member another machine, if that costs nobody the quorum: make replace MEMBER=m1
	@$(LAB) operator replace --member "$${MEMBER:?which one? for example MEMBER=m1}"

test: ## what CI runs; ends with "N passed, N failed"
	@bash scripts/build/test.sh

test-quick: ## the part of it that needs no lab
	@bash scripts/build/test.sh quick

test-crash: ## `pulumi up` killed at fifteen points, and what is left afterwards
	@bash scripts/build/test.sh crash

test-faults: ## every fault under a writer that checks all it was promised; FAULT=<name> runs one
	@bash scripts/build/test.sh faults

test-rolls: ## every change of a running cluster under load; ROLL=<name>[,<name>] runs some
	@bash scripts/build/test.sh rolls

test-runbooks: ## docs/operations.md's commands, every block, in the page's order, on one cluster
	@bash scripts/build/test.sh runbooks

test-security: ## machines, network and every recorded AWS call against the controls; UPDATE_GOLDEN=1 notes new kinds of calls
	@bash scripts/build/test.sh security

test-cost: ## what the agent takes of a machine, and of etcd's throughput; COST=<name>[,<name>] runs some
	@bash scripts/build/test.sh cost

test-examples: ## every example, from outside the checkout with the packed component; EXAMPLE=<name>[,<name>] runs some
	@bash scripts/build/test.sh examples

clean: node_modules/.package-lock.json ## remove the cache (toolchain, image); says how much that was
	@$(LAB) clean
