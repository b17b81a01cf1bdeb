using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Cli.Embedded;
using Lamina.Cluster.Messages;

namespace Lamina.Cli.Output;

/// <summary>What <c>run</c> reports of a finished generation, in the field names of the command line contract.</summary>
internal sealed record RunResult(
    IReadOnlyList<int> Tokens,
    string Text,
    string FinishReason,
    int PromptTokens,
    IReadOnlyList<(int Id, float LogProb)[]> LogProbs,
    IReadOnlyList<SessionStage> Stages,
    double PromptTokensPerSecond,
    double TokensPerSecond)
{
    public static RunResult From(ModelSession session, GenerationProtocol.Submit submit, Answer answer, GenerationProtocol.GenerationEnded ended, long startedAt)
    {
        double promptSeconds = answer.FirstTokenAt == 0 ? 0 : Stopwatch.GetElapsedTime(startedAt, answer.FirstTokenAt).TotalSeconds;
        double decodeSeconds = Stopwatch.GetElapsedTime(answer.FirstTokenAt, answer.LastTokenAt).TotalSeconds;
        return new RunResult(
            answer.Tokens,
            answer.Text,
            ended.Outcome switch { GenerationOutcome.Stop => "stop", GenerationOutcome.Length => "length", _ => "cancelled" },
            submit.PromptTokens.Length,
            submit.Sampling.TopLogProbs > 0 ? answer.TopLogProbs : [],
            session.Stages,
            promptSeconds > 0 ? submit.PromptTokens.Length / promptSeconds : 0,
            decodeSeconds > 0 ? (answer.Tokens.Count - 1) / decodeSeconds : 0);
    }

    public string ToJson() => new JsonObject
    {
        ["tokens"] = new JsonArray([.. Tokens.Select(id => (JsonNode)id)]),
        ["text"] = Text,
        ["finishReason"] = FinishReason,
        ["promptTokens"] = PromptTokens,
        ["logprobs"] = new JsonArray([.. LogProbs.Select(step => (JsonNode)new JsonArray([.. step.Select(top => Entry(top.Id, top.LogProb))]))]),
        ["stages"] = new JsonArray([.. Stages.Select(stage => (JsonNode)new JsonObject
        {
            ["node"] = stage.Node,
            ["firstLayer"] = stage.FirstLayer,
            ["lastLayer"] = stage.LastLayer,
        })]),
        ["timings"] = new JsonObject { ["promptTokensPerSecond"] = Round(PromptTokensPerSecond), ["tokensPerSecond"] = Round(TokensPerSecond) },
    }.ToJsonString(Json.Readable);

    public string Summary() =>
        $"{PromptTokens} prompt tokens at {PromptTokensPerSecond:0.#} tokens/s, {Tokens.Count} generated at {TokensPerSecond:0.#} tokens/s over {Stages.Count} stage{(Stages.Count == 1 ? "" : "s")} ({FinishReason})";

    /// <summary>JSON has no minus infinity: a probability of zero is null.</summary>
    private static JsonArray Entry(int id, float logProb) => [id, float.IsFinite(logProb) ? JsonValue.Create(logProb) : null];

    private static double Round(double value) => Math.Round(value, 2);
}

internal static class Json
{
    /// <summary>Text stays readable: only what JSON itself requires is escaped.</summary>
    public static JsonSerializerOptions Readable { get; } = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
}
