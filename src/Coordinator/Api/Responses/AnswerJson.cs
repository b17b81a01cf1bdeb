using System.Text;
using System.Text.Json;
using Lamina.Compute.Sampling;
using Lamina.Compute.Tokenization;
using Lamina.Coordinator.Generations;

namespace Lamina.Coordinator.Api.Responses;

/// <summary>What all objects of one answer share.</summary>
internal sealed record AnswerHeader(string Id, long Created, string Model, string Fingerprint, string? ServiceTier = null);

/// <summary>Parts that chat and plain completions have in common.</summary>
internal static class AnswerJson
{
    /// <summary>JSON has no minus infinity; OpenAI writes this for a probability of zero.</summary>
    private const double LogProbOfZero = -9999;

    public static void WriteHeader(Utf8JsonWriter json, AnswerHeader header, string kind)
    {
        json.WriteString("id", header.Id);
        json.WriteString("object", kind);
        json.WriteNumber("created", header.Created);
        json.WriteString("model", header.Model);
        json.WriteString("system_fingerprint", header.Fingerprint);
        if (header.ServiceTier is not null)
        {
            json.WriteString("service_tier", header.ServiceTier);
        }
    }

    public static void WriteUsage(Utf8JsonWriter json, AnswerUsage usage)
    {
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", usage.PromptTokens);
        json.WriteNumber("completion_tokens", usage.CompletionTokens);
        json.WriteNumber("total_tokens", usage.PromptTokens + usage.CompletionTokens);
        json.WriteStartObject("prompt_tokens_details");
        json.WriteNumber("cached_tokens", usage.CachedPromptTokens);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>Chat form: <c>{"content":[{"token","logprob","bytes","top_logprobs"}]}</c>.</summary>
    public static void WriteChatLogProbs(Utf8JsonWriter json, IReadOnlyList<AnswerToken> tokens, Tokenizer tokenizer)
    {
        json.WriteStartObject("logprobs");
        WriteTokens(json, "content", tokens, tokenizer);
        json.WriteNull("refusal");
        json.WriteEndObject();
    }

    /// <summary>An array of tokens, each with the most likely ones in its place.</summary>
    public static void WriteTokens(Utf8JsonWriter json, string name, IReadOnlyList<AnswerToken> tokens, Tokenizer tokenizer)
    {
        json.WriteStartArray(name);
        foreach (AnswerToken token in tokens)
        {
            json.WriteStartObject();
            WriteToken(json, new TokenLogProb(token.Id, token.LogProb), tokenizer);
            json.WriteStartArray("top_logprobs");
            foreach (TokenLogProb top in token.Top)
            {
                json.WriteStartObject();
                WriteToken(json, top, tokenizer);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>Plain form: parallel arrays, with <c>text_offset</c> counting characters of the answer.</summary>
    public static void WriteCompletionLogProbs(Utf8JsonWriter json, IReadOnlyList<AnswerToken> tokens, Tokenizer tokenizer)
    {
        json.WriteStartObject("logprobs");
        json.WriteStartArray("tokens");
        foreach (AnswerToken token in tokens)
        {
            json.WriteStringValue(TextOf(token.Id, tokenizer));
        }

        json.WriteEndArray();
        json.WriteStartArray("token_logprobs");
        foreach (AnswerToken token in tokens)
        {
            json.WriteNumberValue(Finite(token.LogProb));
        }

        json.WriteEndArray();
        json.WriteStartArray("top_logprobs");
        foreach (AnswerToken token in tokens)
        {
            WriteTopMap(json, token, tokenizer);
        }

        json.WriteEndArray();
        json.WriteStartArray("text_offset");
        foreach (AnswerToken token in tokens)
        {
            json.WriteNumberValue(token.TextStart);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteTopMap(Utf8JsonWriter json, AnswerToken token, Tokenizer tokenizer)
    {
        json.WriteStartObject();
        var written = new HashSet<string>(StringComparer.Ordinal);
        foreach (TokenLogProb top in token.Top)
        {
            // Different tokens may show the same text; the first, more likely one keeps it.
            if (written.Add(TextOf(top.Id, tokenizer)))
            {
                json.WriteNumber(TextOf(top.Id, tokenizer), Finite(top.LogProb));
            }
        }

        json.WriteEndObject();
    }

    private static void WriteToken(Utf8JsonWriter json, TokenLogProb token, Tokenizer tokenizer)
    {
        json.WriteString("token", TextOf(token.Id, tokenizer));
        json.WriteNumber("logprob", Finite(token.LogProb));
        json.WriteStartArray("bytes");
        foreach (byte value in tokenizer.Bytes(token.Id, special: true))
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    private static string TextOf(int id, Tokenizer tokenizer) => Encoding.UTF8.GetString(tokenizer.Bytes(id, special: true));

    private static double Finite(float logProb) => float.IsFinite(logProb) ? Math.Round((double)logProb, 6) : LogProbOfZero;
}
