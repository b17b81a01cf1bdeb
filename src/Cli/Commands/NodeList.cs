using System.Globalization;
using System.Text.Json;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Planning;

namespace Lamina.Cli.Commands;

/// <summary>Nodes as <c>lamina plan</c> is told of them.</summary>
internal static class NodeList
{
    private const string Example = "a=16GiB,40GB";

    private static readonly JsonSerializerOptions s_options = new(JsonSerializerDefaults.Web) { UnmappedMemberHandling = System.Text.Json.Serialization.JsonUnmappedMemberHandling.Disallow };

    private sealed record Entry(string Name, string Memory, string Speed, string? Latency = null, string? Bandwidth = null);

    /// <summary>Throws <see cref="UsageException"/> naming what is wrong and what is expected.</summary>
    public static IReadOnlyList<NodeCapacity> Read(string? file, IReadOnlyList<string> named)
    {
        NodeCapacity[] nodes = [.. file is null ? [] : OfFile(file), .. named.Select(OfOption)];
        return nodes.GroupBy(node => node.Name).FirstOrDefault(group => group.Count() > 1) is { } twice ? throw new UsageException($"the node {twice.Key} is named twice") : nodes;
    }

    private static IEnumerable<NodeCapacity> OfFile(string file)
    {
        if (!File.Exists(file))
        {
            throw new CommandException($"there is no file {file}");
        }

        try
        {
            Entry[] entries = JsonSerializer.Deserialize<Entry[]>(File.ReadAllText(file), s_options) ?? [];
            return [.. entries.Select((entry, index) => Of(entry, $"node {index} of {file}"))];
        }
        catch (JsonException exception)
        {
            throw new CommandException($"{file} is no list of nodes such as [{{\"name\": \"a\", \"memory\": \"16GiB\", \"speed\": \"40GB\"}}]: {exception.Message}");
        }
    }

    private static NodeCapacity OfOption(string text)
    {
        string[] sides = text.Split('=', 2);
        string[] parts = sides.Length == 2 ? sides[1].Split(',') : [];
        return parts.Length is >= 2 and <= 4
            ? Of(new Entry(sides[0], parts[0], parts[1], parts.ElementAtOrDefault(2), parts.ElementAtOrDefault(3)), $"--node {text}")
            : throw new UsageException($"--node is '{text}', expected NAME=MEMORY,SPEED such as {Example}");
    }

    private static NodeCapacity Of(Entry entry, string where)
    {
        if (entry.Name is null || !Names.IsValid(entry.Name))
        {
            throw new UsageException($"{where}: '{entry.Name}' is no node's name");
        }

        NodeCapacity node = new(new NodeName(entry.Name), (long)Amount(entry.Memory, "memory", where, bits: false), (long)Amount(entry.Speed, "speed", where, bits: true));
        return node with
        {
            LinkSeconds = entry.Latency is null ? node.LinkSeconds : Seconds(entry.Latency, where),
            LinkBytesPerSecond = entry.Bandwidth is null ? node.LinkBytesPerSecond : (long)Amount(entry.Bandwidth, "bandwidth", where, bits: true),
        };
    }

    /// <summary>Bytes, written as 16GiB, 40GB, 1.5TB or, where <paramref name="bits"/> says so, 10Gbit; a trailing /s is taken as meant.</summary>
    private static double Amount(string? text, string what, string where, bool bits)
    {
        string wanted = bits ? "a rate such as 40GB or 10Gbit, a second" : "an amount such as 16GiB";
        string value = (text ?? "").Trim();
        value = bits && value.EndsWith("/s", StringComparison.Ordinal) ? value[..^2] : value;
        int digits = value.AsSpan().IndexOfAnyExcept("0123456789.");
        (double number, string unit) = digits > 0 && double.TryParse(value[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double parsed) ? (parsed, value[digits..].Trim()) : (0, "");
        double factor = unit switch
        {
            "B" => 1,
            "kB" => 1e3,
            "MB" => 1e6,
            "GB" => 1e9,
            "TB" => 1e12,
            "KiB" => 1L << 10,
            "MiB" => 1L << 20,
            "GiB" => 1L << 30,
            "TiB" => 1L << 40,
            "Mbit" when bits => 1e6 / 8,
            "Gbit" when bits => 1e9 / 8,
            _ => 0,
        };
        double bytes = number * factor;
        return bytes is >= 1 and < 1e18 ? bytes : throw new UsageException($"{where}: {what} is '{text}', expected {wanted}");
    }

    private static double Seconds(string text, string where)
    {
        (string number, double factor) = text.EndsWith("us", StringComparison.Ordinal) ? (text[..^2], 1e-6) : text.EndsWith("ms", StringComparison.Ordinal) ? (text[..^2], 1e-3) : ("", 0);
        return double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value) && value * factor is >= 0 and < 100
            ? value * factor
            : throw new UsageException($"{where}: latency is '{text}', expected a time such as 0.2ms or 50us");
    }
}
