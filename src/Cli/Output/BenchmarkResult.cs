using System.Globalization;
using System.Text.Json.Nodes;
using Lamina.Cli.Embedded;

namespace Lamina.Cli.Output;

/// <summary>Medians, all streams together: tokens per second, and milliseconds from submission to the first stream's first token.</summary>
internal sealed record BenchmarkResult(Benchmark Settings, double PromptTokensPerSecond, double TokensPerSecond, double FirstTokenMilliseconds, int Stages)
{
    /// <summary>The same of a prompt that shares its beginning with one seen before; null when not asked for.</summary>
    public double? SharedFirstTokenMilliseconds { get; init; }

    public string ToJson(SessionOptions options)
    {
        JsonObject json = new()
        {
            ["promptTokensPerSecond"] = Math.Round(PromptTokensPerSecond, 2),
            ["tokensPerSecond"] = Math.Round(TokensPerSecond, 2),
            ["firstTokenMilliseconds"] = Math.Round(FirstTokenMilliseconds, 2),
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
        return string.Create(CultureInfo.InvariantCulture,
            $"prompt {Settings.PromptTokens} tokens: {PromptTokensPerSecond:0.0} tokens/s\ndecode {Settings.GeneratedTokens} tokens: {TokensPerSecond:0.0} tokens/s\n{shared}({Settings.Concurrency} at a time, {options.Nodes} node(s), {(options.Threads > 0 ? $"{options.Threads} threads a stage" : "all cores")}, median of {Settings.Repetitions})");
    }
}
