using System.Globalization;
using System.Text.RegularExpressions;

namespace Lamina.Compute.Gguf;

/// <summary>Names of the parts of a split model: <c>name-00001-of-00003.gguf</c>.</summary>
public static partial class SplitFile
{
    /// <summary>Paths of all parts, in order, of the model whose first part is <paramref name="path"/>.</summary>
    public static IReadOnlyList<string> Parts(string path, GgufMetadata metadata, GgufLimits limits)
    {
        int count = metadata.FindInt32("split.count") ?? 1;
        if (count <= 1)
        {
            return [path];
        }

        if (count > limits.Parts)
        {
            throw new InvalidDataException($"split.count is {count}, expected at most {limits.Parts}");
        }

        int number = metadata.GetInt32("split.no", 0, count - 1);
        Match name = PartName().Match(Path.GetFileName(path));
        if (!name.Success || Number(name.Groups[2]) != number + 1 || Number(name.Groups[3]) != count)
        {
            throw new InvalidDataException($"this is part {number + 1} of {count} of a split model, so its name must end in -{number + 1:d5}-of-{count:d5}.gguf");
        }

        string folder = Path.GetDirectoryName(path) ?? "";
        string PartPath(int part) => Path.Combine(folder, $"{name.Groups[1].Value}-{part:d5}-of-{count:d5}.gguf");
        if (number != 0)
        {
            throw new InvalidDataException($"this is part {number + 1} of {count} of a split model: open the first, {Path.GetFileName(PartPath(1))}");
        }

        return Enumerable.Range(1, count).Select(PartPath).ToArray();
    }

    private static int Number(Group digits) => int.Parse(digits.ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^(.+)-(\d{5})-of-(\d{5})\.gguf$", RegexOptions.CultureInvariant)]
    private static partial Regex PartName();
}
