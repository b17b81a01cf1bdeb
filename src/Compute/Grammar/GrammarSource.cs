using System.Text.Json;

namespace Lamina.Compute.Grammar;

/// <summary>How a grammar is written. The numbers travel on the wire.</summary>
public enum GrammarKind
{
    Gbnf = 0,

    /// <summary>A JSON schema.</summary>
    JsonSchema = 1,
    Regex = 2,

    /// <summary>A JSON array of texts.</summary>
    Choices = 3,

    /// <summary>Any JSON object; the text is empty.</summary>
    JsonObject = 4,

    /// <summary>Calls of tools, as <see cref="Tools.ToolGrammar"/> describes them in JSON.</summary>
    ToolCalls = 5,
}

/// <summary>A grammar as a request carries it. The coordinator compiles it to judge the request, the tail to apply it.</summary>
public sealed record GrammarSource(GrammarKind Kind, string Text)
{
    /// <summary>Of two properties with one name it would depend on the reader which of them counts, and some readers take neither.</summary>
    private static readonly JsonDocumentOptions Limits = new() { MaxDepth = 2 * GrammarLimits.Depth, AllowDuplicateProperties = false };

    /// <summary>Throws <see cref="GrammarException"/> when it is malformed, unsupported or too large.</summary>
    public CompiledGrammar Compile()
    {
        if (Text.Length > GrammarLimits.SourceLength)
        {
            throw new GrammarException($"the grammar has {Text.Length} characters; at most {GrammarLimits.SourceLength} are allowed");
        }

        return Kind switch
        {
            GrammarKind.Gbnf => CompiledGrammar.FromGbnf(Text),
            GrammarKind.JsonSchema => FromJson(CompiledGrammar.FromJsonSchema),
            GrammarKind.Regex => CompiledGrammar.FromRegex(Text),
            GrammarKind.Choices => FromJson(list => CompiledGrammar.FromChoices(list.ValueKind == JsonValueKind.Array
                ? [.. list.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.String ? item.GetString()! : throw new GrammarException("choices must be texts"))]
                : throw new GrammarException("choices must be a list"))),
            GrammarKind.ToolCalls => FromJson(Tools.ToolGrammar.Compile),
            GrammarKind.JsonObject => CompiledGrammar.AnyJsonObject(),
            _ => throw new GrammarException($"the kind of grammar {(int)Kind} is unknown"),
        };
    }

    private CompiledGrammar FromJson(Func<JsonElement, CompiledGrammar> compile)
    {
        if (HasLoneSurrogate(Text))
        {
            throw new GrammarException("the grammar is not JSON: it holds half of a surrogate pair");
        }

        try
        {
            using JsonDocument document = JsonDocument.Parse(Text, Limits);
            return compile(document.RootElement);
        }
        catch (JsonException exception)
        {
            throw new GrammarException($"the grammar is not JSON: {exception.Message}");
        }
    }

    /// <summary>The reader of JSON takes no such text.</summary>
    private static bool HasLoneSurrogate(ReadOnlySpan<char> text)
    {
        while (text.IndexOfAnyInRange('\uD800', '\uDFFF') is var at and >= 0)
        {
            if (at + 1 == text.Length || !char.IsSurrogatePair(text[at], text[at + 1]))
            {
                return true;
            }

            text = text[(at + 2)..];
        }

        return false;
    }
}
