using System.Text.Json;
using Lamina.Coordinator.Cells;

namespace Lamina.Coordinator.Api.Status;

/// <summary>The status page's figures as JSON.</summary>
internal static class StatusJson
{
    public static void Write(Utf8JsonWriter json, StatusView view)
    {
        json.WriteStartObject();
        json.WriteString("tenant", view.Tenant);
        json.WriteStartArray("nodes");
        foreach (NodeView node in view.Nodes)
        {
            json.WriteStartObject();
            json.WriteString("name", node.Name.Value);
            json.WriteNumber("processId", node.ProcessId);
            json.WriteNumber("cores", node.Cores);
            json.WriteString("device", node.Device);
            json.WriteNumber("memoryBytes", node.MemoryBytes);
            json.WriteNumber("memoryUsedBytes", node.MemoryUsedBytes);
            json.WriteString("version", node.Version);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("deployments");
        foreach (DeploymentStatus deployment in view.Deployments)
        {
            WriteDeployment(json, deployment);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteDeployment(Utf8JsonWriter json, DeploymentStatus deployment)
    {
        DeploymentView view = deployment.View;
        json.WriteStartObject();
        json.WriteString("name", view.Name);
        json.WriteString("phase", view.Phase.ToString());
        json.WriteNumber("epoch", view.Epoch);
        json.WriteNumber("loadedBytes", view.LoadedBytes);
        json.WriteNumber("totalBytes", view.TotalBytes);
        json.WriteString("problem", view.Problem);
        json.WriteString("owner", deployment.Owner);
        json.WriteNumber("running", deployment.Load.Running);
        json.WriteNumber("active", deployment.Active);
        json.WriteNumber("freeKvBlocks", deployment.Load.FreeKvBlocks);
        json.WriteNumber("kvBlocks", deployment.Load.KvBlocks);
        json.WriteNumber("tokensPerSecond", double.IsFinite(deployment.Load.TokensPerSecond) ? Math.Round(deployment.Load.TokensPerSecond, 1) : 0);
        json.WriteStartArray("stages");
        foreach (StageView stage in view.Stages)
        {
            json.WriteStartObject();
            json.WriteNumber("pipeline", stage.Pipeline);
            json.WriteNumber("stage", stage.Stage);
            json.WriteString("node", stage.Node);
            json.WriteNumber("firstLayer", stage.FirstLayer);
            json.WriteNumber("lastLayer", stage.EndLayer - 1);
            json.WriteString("phase", stage.Phase.ToString());
            json.WriteNumber("memoryBytes", stage.MemoryBytes);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }
}
