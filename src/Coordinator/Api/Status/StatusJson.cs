using System.Text.Json;
using Lamina.Cluster.Messages;
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
            json.WriteBoolean("leaving", node.Leaving);
            json.WriteNumber("cpuShare", Rounded(node.CpuShare, 3));
            WriteKnown(json, "deviceShare", node.DeviceShare);
            WriteKnown(json, "temperatureCelsius", node.TemperatureCelsius);
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
        json.WriteNumber("tokensPerSecond", Rounded(deployment.Load.TokensPerSecond, 1));
        json.WriteStartArray("pipelines");
        foreach (PipelineStatus pipeline in deployment.Pipelines)
        {
            json.WriteStartObject();
            json.WriteNumber("pipeline", pipeline.Pipeline);
            json.WriteNumber("epoch", pipeline.Epoch);
            json.WriteNumber("running", pipeline.Load.Running);
            json.WriteNumber("waiting", pipeline.Load.Waiting);
            json.WriteNumber("freeKvBlocks", pipeline.Load.FreeKvBlocks);
            json.WriteNumber("kvBlocks", pipeline.Load.KvBlocks);
            json.WriteNumber("tokensPerSecond", Rounded(pipeline.Load.TokensPerSecond, 1));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        StageStatus?[] reports = [.. deployment.Pipelines.SelectMany(pipeline => pipeline.Stages)];
        json.WriteStartArray("stages");
        for (int i = 0; i < view.Stages.Count; i++)
        {
            StageView stage = view.Stages[i];
            StageStatus? report = i < reports.Length ? reports[i] : null;
            json.WriteStartObject();
            json.WriteNumber("pipeline", stage.Pipeline);
            json.WriteNumber("stage", stage.Stage);
            json.WriteString("node", stage.Node);
            json.WriteNumber("firstLayer", stage.FirstLayer);
            json.WriteNumber("lastLayer", stage.EndLayer - 1);
            json.WriteString("phase", stage.Phase.ToString());
            json.WriteNumber("memoryBytes", stage.MemoryBytes);
            json.WriteNumber("busyShare", Rounded(report?.BusyShare ?? 0, 3));
            json.WriteNumber("queued", report?.Queued ?? 0);
            json.WriteNumber("linkSeconds", Rounded(report?.LinkSeconds ?? 0, 6));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteKnown(Utf8JsonWriter json, string name, double? value)
    {
        if (value is { } known)
        {
            json.WriteNumber(name, Rounded(known, 3));
        }
        else
        {
            json.WriteNull(name);
        }
    }

    /// <summary>What a node reports may be no number at all, which JSON has no word for.</summary>
    private static double Rounded(double value, int digits) => double.IsFinite(value) ? Math.Round(value, digits) : 0;
}
