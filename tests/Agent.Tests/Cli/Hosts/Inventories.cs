using Agent.Artifacts;
using Agent.Cli.Hosts;

namespace Agent.Tests.Cli.Hosts;

/// <summary>Inventories of texts.</summary>
internal static class Inventories
{
    public const string UsersFile = "/home/ann/.config/agentctl/hosts.yaml", ProjectsFile = "/home/ann/shop/.agentctl.yaml";

    /// <param name="project">Null: there is none.</param>
    /// <exception cref="OperatorException">What is wrong in them.</exception>
    public static Inventory Of(string users, string? project = null)
    {
        var problems = new Problems();
        Inventory inventory = Inventory.Join(
            HostsFile.Read(UsersFile, users, problems), project is null ? null : HostsFile.Read(ProjectsFile, project, problems), problems);
        problems.ThrowIfAny(ExitCode.Usage, "");
        return inventory;
    }
}
