using System.Collections.Frozen;
using System.Text.Json;

namespace Lamina.Coordinator.Api.Requests;

/// <summary>A prompt as text or as token ids; exactly one of them is set.</summary>
internal readonly record struct CompletionPrompt(string? Text, int[]? Tokens);

/// <summary>Body of <c>POST /v1/completions</c>.</summary>
internal sealed record CompletionRequest(GenerationOptions Options, IReadOnlyList<CompletionPrompt> Prompts)
{
    /// <summary>OpenAI's default for this endpoint.</summary>
    public const int DefaultMaxTokens = 16;

    private static readonly FrozenSet<string> s_unsupported = FrozenSet.Create<string>(
        StringComparer.Ordinal, ["echo", "suffix", "top_logprobs"]);

    public static CompletionRequest Parse(ReadOnlyMemory<byte> body)
    {
        using JsonDocument document = JsonFields.Parse(body);
        JsonFields fields = JsonFields.Of(document.RootElement);
        GenerationOptions options = GenerationOptions.Read(fields);
        long? logProbs = fields.TakeInteger("logprobs", 0, ApiLimits.MaxTopLogProbs);
        IReadOnlyList<CompletionPrompt> prompts = ReadPrompts(fields.TakeRequired("prompt"), "prompt");
        RequireNoSelection(fields, options.Choices);
        fields.RefuseOthers(s_unsupported);
        if (prompts.Count * options.Choices > ApiLimits.MaxPrompts)
        {
            throw ApiError.InvalidValue("n", $"{prompts.Count} prompts with n = {options.Choices} ask for {prompts.Count * options.Choices} answers; at most {ApiLimits.MaxPrompts} are allowed").AsException();
        }

        return new CompletionRequest(options with { LogProbs = logProbs is not null, TopLogProbs = (int)(logProbs ?? 0) }, prompts);
    }

    /// <summary>All answers are given back: of more than <c>n</c> none would be the best by a measure that a stream could show.</summary>
    private static void RequireNoSelection(JsonFields fields, int choices)
    {
        if (fields.TakeInteger("best_of", 1, ApiLimits.MaxChoices) is { } candidates && candidates != choices)
        {
            throw ApiError.InvalidValue("best_of", $"'best_of' is {candidates}, 'n' is {choices}: this server gives back every answer it makes, so they must be equal").AsException();
        }
    }

    /// <summary>One text, texts, the ids of one text or of several.</summary>
    public static IReadOnlyList<CompletionPrompt> ReadPrompts(JsonElement json, string path, int most = ApiLimits.MaxPrompts)
    {
        if (json.ValueKind == JsonValueKind.String)
        {
            return [new CompletionPrompt(JsonFields.Text(json, path, ApiLimits.MaxBodyBytes), null)];
        }

        if (json.ValueKind != JsonValueKind.Array)
        {
            throw ApiError.InvalidType(path, "a string, an array of strings, an array of token ids or an array of such arrays", JsonFields.Kind(json)).AsException();
        }

        int count = json.GetArrayLength();
        if (count == 0)
        {
            throw ApiError.InvalidValue(path, $"'{path}' is empty").AsException();
        }

        if (json[0].ValueKind == JsonValueKind.Number)
        {
            return [new CompletionPrompt(null, ReadTokens(json, path))];
        }

        return count <= most
            ? [.. json.EnumerateArray().Select((prompt, i) => ReadPrompt(prompt, $"{path}[{i}]"))]
            : throw ApiError.InvalidValue(path, $"'{path}' has {count} entries; at most {most} are allowed").AsException();
    }

    private static CompletionPrompt ReadPrompt(JsonElement json, string path) => json.ValueKind switch
    {
        JsonValueKind.String => new CompletionPrompt(JsonFields.Text(json, path, ApiLimits.MaxBodyBytes), null),
        JsonValueKind.Array when json.GetArrayLength() > 0 => new CompletionPrompt(null, ReadTokens(json, path)),
        JsonValueKind.Array => throw ApiError.InvalidValue(path, $"'{path}' is empty").AsException(),
        _ => throw ApiError.InvalidType(path, "a string or an array of token ids", JsonFields.Kind(json)).AsException(),
    };

    private static int[] ReadTokens(JsonElement json, string path) =>
        [.. json.EnumerateArray().Select((token, i) => (int)JsonFields.Integer(token, $"{path}[{i}]", 0, int.MaxValue))];
}
