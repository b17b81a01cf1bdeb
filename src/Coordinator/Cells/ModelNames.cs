using System.Text;
using System.Text.RegularExpressions;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Models;

namespace Lamina.Coordinator.Cells;

/// <summary>Names of deployments.</summary>
public static partial class ModelNames
{
    private const int MaxLength = 128;

    /// <summary>
    /// The name that callers use: the configured one, else the file's without extension (and without the part number of a split file), with hyphens for whatever a
    /// name may not hold.
    /// </summary>
    public static DeploymentId Of(ModelOptions model) => new(model.Name
        ?? (model.Path.StartsWith(ModelStore.StorePrefix, StringComparison.Ordinal) ? model.Path[ModelStore.StorePrefix.Length..] : FromFile(model.Path)));

    private static string FromFile(string path)
    {
        var name = new StringBuilder();
        foreach (char c in PartSuffix().Replace(Path.GetFileNameWithoutExtension(path), ""))
        {
            name.Append(char.IsAsciiLetterOrDigit(c) || c is '.' or '_' ? c : '-');
        }

        string text = name.ToString(0, Math.Min(name.Length, MaxLength)).Trim('-', '.', '_');
        return text.Length > 0 ? text : "model";
    }

    [GeneratedRegex(@"-\d{5}-of-\d{5}$")]
    private static partial Regex PartSuffix();
}
