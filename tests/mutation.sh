#!/bin/bash
# Mutation score of agent/Daemon/Deployments and State: dotnet-stryker changes the code in one place at a time and looks
# whether a fast test fails. Takes hours; with arguments only the files that they name: tests/mutation.sh State/Journal.cs.
# The tests are those of tests/mutation/mutation.csproj: without the simulations that try every moment.
# Exit status: 0 when the score is 80 or more, else not 0. The report lies in tests/mutation/StrykerOutput.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root/tests/mutation"
dotnet tool restore --verbosity quiet
mutate=(--mutate '**/Deployments/*.cs' --mutate '**/State/*.cs' --mutate '!**/Log.cs')
if [[ $# != 0 ]]; then
    mutate=()
    for file; do mutate+=(--mutate "**/$file"); done
fi
# The runner of Microsoft.Testing.Platform: by the older one dotnet-stryker cannot tell the tests of xunit v3 which change is on.
dotnet stryker --project Agent.Daemon.csproj --test-runner mtp --concurrency "${STRYKER_CONCURRENCY:-1}" "${mutate[@]}" \
    --break-at 80 --threshold-low 80 --threshold-high 90 --reporter progress --reporter cleartext --reporter json
