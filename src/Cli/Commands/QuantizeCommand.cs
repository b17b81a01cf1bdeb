using System.CommandLine;
using Lamina.Cli.Output;
using Lamina.Compute.Gguf;
using Lamina.Compute.Quantization;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina quantize</c>: a model's copy in another quantisation.</summary>
internal static class QuantizeCommand
{
    public static Command Create()
    {
        Argument<string> input = new("IN") { Description = "GGUF file." };
        Argument<string> output = new("OUT") { Description = "GGUF file to write." };
        Argument<string> type = new("TYPE") { Description = "Quantisation, such as Q8_0, Q4_0, Q4_K_M." };
        Option<string?> importance = new("--imatrix") { Description = "Importance matrix; some types need one." };
        Option<bool> again = new("--allow-requantize") { Description = "Take a source that is quantised already." };
        Option<int> threads = new("--threads", "-t") { Description = "Threads; 0 = all cores.", DefaultValueFactory = _ => 0 };
        Command command = new("quantize", "Write a copy of a model in another quantisation.") { input, output, type, importance, again, threads };
        command.SetAction(parsed =>
        {
            QuantizationMix mix;
            try
            {
                mix = QuantizationMixes.Parse(parsed.GetRequiredValue(type));
            }
            catch (ArgumentException exception)
            {
                throw new UsageException(exception.Message);
            }

            using GgufFile source = GgufFile.Open(parsed.GetRequiredValue(input));
            string path = parsed.GetRequiredValue(output);
            LoadProgress progress = new(quiet: false);
            int count = Bounds.Within(parsed.GetValue(threads), 0, 1024, "--threads");
            ModelQuantizer.Write(source, path, new ModelQuantizerOptions(
                mix,
                parsed.GetValue(importance) is { } file ? ImportanceMatrix.Open(file) : null,
                parsed.GetValue(again),
                count > 0 ? count : null,
                (done, total) => progress.Report("quantising", done, total)));
            progress.Done();
            Console.Error.WriteLine($"wrote {path}: {source.FileLength >> 20} MiB became {new FileInfo(path).Length >> 20} MiB");
            return 0;
        });
        return command;
    }
}
