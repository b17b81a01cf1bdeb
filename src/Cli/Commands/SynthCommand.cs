using System.CommandLine;
using Lamina.Compute.Gguf;
using Lamina.Compute.Quantization;
using Lamina.Compute.Synthesis;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina synth</c>: a model of random weights in a real model's shape.</summary>
internal static class SynthCommand
{
    public static Command Create()
    {
        Argument<string> output = new("OUT") { Description = "GGUF file to write." };
        Option<string> shape = new("--shape") { Description = $"One of {string.Join(", ", SyntheticShape.Presets.Select(preset => preset.Name))}.", DefaultValueFactory = _ => "tiny" };
        Option<string> type = new("--type") { Description = "Quantisation, such as F16, Q8_0, Q4_0, Q4_K_M.", DefaultValueFactory = _ => "Q8_0" };
        Option<string> architecture = new("--arch") { Description = "Architecture.", DefaultValueFactory = _ => "llama" };
        Option<int?> layers = new("--layers") { Description = "Layers, instead of the shape's." };
        Option<ulong> seed = new("--seed") { Description = "Seed of the weights: the same options give the same file.", DefaultValueFactory = _ => 1 };
        Option<FileInfo?> adapterOf = new("--adapter-of") { Description = "Write an adapter for this model instead, changing attention and feed-forward matrices." };
        Command command = new("synth", "Write a model of random weights, for measuring and testing.") { output, shape, type, architecture, layers, seed, adapterOf };
        command.SetAction(parsed =>
        {
            string path = parsed.GetRequiredValue(output);
            if (parsed.GetValue(adapterOf) is { } model)
            {
                using GgufFile file = GgufFile.Open(model.FullName);
                AdapterSynthesizer.Write(path, file, new AdapterSynthesisOptions(Seed: parsed.GetValue(seed)), name => name.StartsWith("blk.", StringComparison.Ordinal) && !name.Contains("ffn_gate_inp", StringComparison.Ordinal));
                Console.Error.WriteLine($"wrote {path}: {new FileInfo(path).Length >> 10} KiB");
                return 0;
            }

            try
            {
                SynthesisOptions options = new SynthesisOptions(
                    SyntheticShape.Preset(parsed.GetValue(shape)!),
                    QuantizationMixes.Parse(parsed.GetValue(type)!),
                    parsed.GetValue(architecture)!,
                    parsed.GetValue(layers) is { } count ? Bounds.Within(count, 1, 1024, "--layers") : null,
                    parsed.GetValue(seed));
                ModelSynthesizer.Write(path, options);
            }
            catch (ArgumentException exception)
            {
                throw new UsageException(exception.Message);
            }

            Console.Error.WriteLine($"wrote {path}: {new FileInfo(path).Length >> 20} MiB");
            return 0;
        });
        return command;
    }
}
