using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using Lamina.Coordinator.Cells;

namespace Lamina.Coordinator.Api.Status;

/// <summary>The page as HTML, complete without script; names are encoded. The script only replaces the figures as they change.</summary>
internal static class StatusPage
{
    public static string Render(StatusView view)
    {
        var html = new StringBuilder();
        html.Append("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Lamina</title>")
            .Append("<link rel=\"stylesheet\" href=\"").Append(StatusEndpoints.StyleRoute).Append("\"><script src=\"").Append(StatusEndpoints.ScriptRoute)
            .Append("\" defer></script></head>\n<body><h1>Lamina</h1><main id=\"status\"><p>Cell ").Append(Text(view.Tenant)).Append("</p>\n");
        foreach (DeploymentStatus deployment in view.Deployments)
        {
            AppendDeployment(html, deployment);
        }

        AppendNodes(html, view.Nodes);
        return html.Append("</main></body></html>\n").ToString();
    }

    private static void AppendDeployment(StringBuilder html, DeploymentStatus deployment)
    {
        DeploymentView view = deployment.View;
        html.Append("<section><h2>").Append(Text(view.Name)).Append("</h2><p>").Append(Text(view.Phase.ToString())).Append(", epoch ").Append(view.Epoch)
            .Append(", ").Append(Megabytes(view.LoadedBytes)).Append(" of ").Append(Megabytes(view.TotalBytes)).Append(", ")
            .Append(deployment.Load.TokensPerSecond.ToString("0.0", CultureInfo.InvariantCulture)).Append(" tokens/s, ").Append(deployment.Active).Append(" generations</p>");
        if (view.Problem is not null)
        {
            html.Append("<p class=\"problem\">").Append(Text(view.Problem)).Append("</p>");
        }

        html.Append("<table><thead><tr><th>Stage</th><th>Node</th><th>Layers</th><th>Phase</th><th>Memory</th></tr></thead><tbody>");
        foreach (StageView stage in view.Stages)
        {
            html.Append("<tr><td>").Append(stage.Pipeline).Append('.').Append(stage.Stage).Append("</td><td>").Append(Text(stage.Node)).Append("</td><td>")
                .Append(stage.FirstLayer).Append('-').Append(stage.EndLayer - 1).Append("</td><td>").Append(Text(stage.Phase.ToString())).Append("</td><td>")
                .Append(Megabytes(stage.MemoryBytes)).Append("</td></tr>");
        }

        html.Append("</tbody></table></section>\n");
    }

    private static void AppendNodes(StringBuilder html, IReadOnlyList<NodeView> nodes)
    {
        html.Append("<section><h2>Nodes</h2><table><thead><tr><th>Node</th><th>Process</th><th>Cores</th><th>Device</th><th>Memory</th><th>Version</th></tr></thead><tbody>");
        foreach (NodeView node in nodes)
        {
            html.Append("<tr><td>").Append(Text(node.Name.Value)).Append("</td><td>").Append(node.ProcessId).Append("</td><td>").Append(node.Cores).Append("</td><td>").Append(Text(node.Device)).Append("</td><td>")
                .Append(Megabytes(node.MemoryUsedBytes)).Append(" of ").Append(Megabytes(node.MemoryBytes)).Append("</td><td>").Append(Text(node.Version)).Append("</td></tr>");
        }

        html.Append("</tbody></table></section>");
    }

    private static string Text(string text) => HtmlEncoder.Default.Encode(text);

    private static string Megabytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0.0} MB");
}
