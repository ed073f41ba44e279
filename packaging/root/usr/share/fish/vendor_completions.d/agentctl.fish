# Completes agentctl by asking it. Printed by: agentctl completion fish
function __agentctl_complete
    set -l found (agentctl complete -- (commandline --cut-at-cursor --current-process | string collect) 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline --current-token)
    end
end
complete --command agentctl --no-files --arguments '(__agentctl_complete)'
