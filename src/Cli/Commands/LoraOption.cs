using System.CommandLine;
using System.Globalization;
using Lamina.Cli.Embedded;

namespace Lamina.Cli.Commands;

/// <summary><c>--lora FILE[=SCALE]</c>, as often as wanted.</summary>
internal static class LoraOption
{
    public static Option<string[]> Create() => new("--lora")
    {
        Description = "Adapter in GGUF to answer through, FILE or FILE=SCALE; may be given several times.",
        AllowMultipleArgumentsPerToken = false,
    };

    public static SessionOptions Apply(SessionOptions options, string[] values)
    {
        AdapterOption[] adapters = [.. values.Select(Parse)];
        return adapters.Length == 0 || options.Nodes == 1
            ? options with { Adapters = adapters }
            : throw new UsageException("--lora answers in this process only; leave --nodes out");
    }

    /// <summary>What stands behind the last equals sign is a scale when it reads as a number.</summary>
    public static AdapterOption Parse(string value)
    {
        int equals = value.LastIndexOf('=');
        if (equals < 0 || !float.TryParse(value.AsSpan(equals + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out float scale))
        {
            return new AdapterOption(value, 1);
        }

        return float.IsFinite(scale) ? new AdapterOption(value[..equals], scale) : throw new UsageException($"--lora has the scale {scale}, expected a finite number");
    }
}
