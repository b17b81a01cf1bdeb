using System.Globalization;
using System.Text.Json.Nodes;
using Lamina.Cli.Embedded;

namespace Lamina.Cli.Output;

/// <summary>Medians, all streams together: tokens per second, and milliseconds from submission to the first stream's first token.</summary>
internal sealed record BenchmarkResult(Benchmark Settings, double PromptTokensPerSecond, double TokensPerSecond, double FirstTokenMilliseconds, int Stages)
{
    /// <summary>The same of a prompt that shares its beginning with one seen before; null when not asked for.</summary>
    public double? SharedFirstTokenMilliseconds { get; init; }

    /// <summary>From the file's opening until the model stands, on all its nodes.</summary>
    public double LoadSeconds { get; init; }

    /// <summary>Bytes: the most memory that this process held at once, pages of mapped files included; null where the stages run in processes of their own.</summary>
    public long? PeakResidentBytes { get; init; }

    public string ToJson(SessionOptions options)
    {
        JsonObject json = new()
        {
            ["promptTokensPerSecond"] = Math.Round(PromptTokensPerSecond, 2),
            ["tokensPerSecond"] = Math.Round(TokensPerSecond, 2),
            ["firstTokenMilliseconds"] = Math.Round(FirstTokenMilliseconds, 2),
            ["loadSeconds"] = Math.Round(LoadSeconds, 3),
            ["peakResidentBytes"] = PeakResidentBytes,
            ["promptTokens"] = Settings.PromptTokens,
            ["generatedTokens"] = Settings.GeneratedTokens,
            ["repetitions"] = Settings.Repetitions,
            ["concurrency"] = Settings.Concurrency,
            ["threads"] = options.Threads,
            ["nodes"] = options.Nodes,
            ["stages"] = Stages,
            ["speculate"] = options.DraftTokens,
        };
        if (SharedFirstTokenMilliseconds is { } shared)
        {
            json["sharedPrefix"] = Settings.SharedPrefix;
            json["sharedFirstTokenMilliseconds"] = Math.Round(shared, 2);
        }

        return json.ToJsonString();
    }

    public string ToText(SessionOptions options)
    {
        string shared = SharedFirstTokenMilliseconds is { } milliseconds
            ? string.Create(CultureInfo.InvariantCulture, $"first token after {milliseconds:0.0} ms when {Settings.SharedPrefix} tokens were seen before, {FirstTokenMilliseconds:0.0} ms when none were\n")
            : "";
        string memory = PeakResidentBytes is { } bytes ? string.Create(CultureInfo.InvariantCulture, $", {bytes / 1048576.0:0} MiB at most") : "";
        return string.Create(CultureInfo.InvariantCulture,
            $"loaded in {LoadSeconds:0.00} s{memory}\nprompt {Settings.PromptTokens} tokens: {PromptTokensPerSecond:0.0} tokens/s\ndecode {Settings.GeneratedTokens} tokens: {TokensPerSecond:0.0} tokens/s\n{shared}({Settings.Concurrency} at a time, {options.Nodes} node(s), {(options.Threads > 0 ? $"{options.Threads} threads a stage" : "all cores")}, median of {Settings.Repetitions})");
    }
}
