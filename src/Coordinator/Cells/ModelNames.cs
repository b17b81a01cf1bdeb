using System.Text;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Cells;

/// <summary>Names of deployments.</summary>
public static class ModelNames
{
    private const int MaxLength = 63;

    /// <summary>
    /// The name that callers use: the configured one, else made of the file's name without extension, in lower case and with hyphens for whatever a name may not
    /// hold: <c>Llama-3.2-1B-Q4_0.gguf</c> is served as <c>llama-3-2-1b-q4-0</c>.
    /// </summary>
    public static DeploymentId Of(ModelOptions model) => new(model.Name ?? FromFile(model.Path));

    private static string FromFile(string path)
    {
        var name = new StringBuilder();
        foreach (char c in Path.GetFileNameWithoutExtension(path).ToLowerInvariant())
        {
            bool kept = c is (>= 'a' and <= 'z') or (>= '0' and <= '9');
            if (kept || (name.Length > 0 && name[^1] != '-'))
            {
                name.Append(kept ? c : '-');
            }
        }

        string text = name.ToString(0, Math.Min(name.Length, MaxLength)).Trim('-');
        return text.Length > 0 ? text : "model";
    }
}
