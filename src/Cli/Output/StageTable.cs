using Lamina.Cli.Embedded;
using Lamina.Coordinator;

namespace Lamina.Cli.Output;

/// <summary>Which node holds which layers, as lines for people.</summary>
internal static class StageTable
{
    public static void Write(TextWriter output, EmbeddedCell cell)
    {
        foreach ((Cell owner, DeploymentView deployment) in cell.Cells.SelectMany(cell => cell.Deployments.Select(deployment => (cell, deployment))))
        {
            string tenant = cell.Cells.Count > 1 ? $"{owner.Tenant}/" : "";
            output.WriteLine($"{tenant}{deployment.Name}: {deployment.Stages.Count} stage{(deployment.Stages.Count == 1 ? "" : "s")}, epoch {deployment.Epoch}");
            foreach (StageView stage in deployment.Stages)
            {
                string layers = stage.EndLayer - stage.FirstLayer == 1 ? $"layer {stage.FirstLayer}" : $"layers {stage.FirstLayer}-{stage.EndLayer - 1}";
                output.WriteLine($"  {stage.Node} (process {stage.ProcessId})  {layers,-14} {stage.MemoryBytes / 1048576.0,8:0.0} MiB");
            }
        }
    }
}
