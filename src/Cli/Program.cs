using System.CommandLine;
using Lamina.Cli;
using Lamina.Cli.Commands;
using Lamina.Cluster.Processes;

// Prompts, keys and weights are in this process' memory: nothing writes that to disk, and no other process of the user reads it.
ProcessLimits.ForbidDumps();
LostMapping.EndsWith("lamina: a file that was being read, most likely a model, was shortened by another program or its disk failed");

RootCommand root = new("Serves GGUF language models from a cluster of machines: encrypted, multi-tenant, and still there when a node is not.");
root.Options.Add(CommandRunner.Verbose);
foreach (Command command in new[]
{
    DemoCommand.Create(), RunCommand.Create(), ServeCommand.Create(), CoordinatorCommand.Create(), NodeCommand.Create(),
    BenchCommand.Create(), TokenizeCommand.Create(), SynthCommand.Create(), InspectCommand.Create(), QuantizeCommand.Create(), PkiCommand.Create(), ModelCommand.Create(),
    TenantCommand.Create(), KeyCommand.Create(), HealthCommand.Create(), SuspendCommand.Create(), SuspendCommand.CreateLift(), QuotaCommand.Create(), AuditCommand.Create(),
    VerifyIsolationCommand.Create(), CheckModelCommand.Create(), ChaosCommand.Create(), DrainCommand.Create(), PlanCommand.Create(), StatusCommand.Create(), AskCommand.Create(),
})
{
    root.Subcommands.Add(command);
}

return await CommandRunner.RunAsync(root, args);
