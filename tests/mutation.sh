#!/bin/bash
# Mutation score of agent/Daemon/Deployments and State: dotnet-stryker changes the code in one place at a time and looks
# whether a fast test fails. Takes long; with an argument only the files that match it: tests/mutation.sh 'State/Journal.cs'.
# The simulations are narrowed: 50 lives, unless AGENTD_SEEDS says how many, and without the power cut at every moment.
# Exit status: 0 when the score is 80 or more, else not 0. The report lies in tests/Agent.Tests/StrykerOutput.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
dotnet tool restore --verbosity quiet
export AGENTD_SEEDS=${AGENTD_SEEDS:-0-49}
mutate=(--mutate '**/Deployments/*.cs' --mutate '**/State/*.cs' --mutate '!**/Log.cs')
[[ $# == 0 ]] || mutate=(--mutate "**/$1")
cd tests/Agent.Tests
dotnet stryker --project Agent.Daemon.csproj --concurrency "${STRYKER_CONCURRENCY:-1}" "${mutate[@]}" \
    --test-case-filter '(FullyQualifiedName~Agent.Tests.Deployments|FullyQualifiedName~Agent.Tests.State)&FullyQualifiedName!~PowerCutTests' \
    --break-at 80 --threshold-low 80 --threshold-high 90 --reporter progress --reporter cleartext --reporter json
