using System.Text.Json;
using Lamina.Compute.Grammar.Json;
using Lamina.Compute.Grammar.Regex;
using Lamina.Compute.ToolCalls;

namespace Lamina.Compute.Grammar;

/// <summary>A set of texts that an answer must belong to. Immutable and thread-safe; matching is done by <see cref="TokenConstraint"/>.</summary>
public sealed class CompiledGrammar
{
    internal CompiledGrammar(GrammarCode code, ToolFormat? marks = null)
    {
        Code = code;
        Marks = marks;

        // a beginning with too many ways shows here, not in the middle of an answer
        _ = new GrammarAutomaton(code);
    }

    internal GrammarCode Code { get; }

    /// <summary>The format whose control tokens count by their texts; null = none do.</summary>
    internal ToolFormat? Marks { get; }

    /// <summary>Bytes held, about.</summary>
    public long Bytes => (Code.Elements.Length * 8L) + (Code.Sets.Length * 64L) + 4096;

    /// <summary>A grammar in llama.cpp's GBNF, from its rule <c>root</c>. Throws <see cref="GrammarException"/> with line and reason.</summary>
    public static CompiledGrammar FromGbnf(string source) => new GbnfParser(Checked(source)).Parse();

    /// <summary>JSON that a schema validates; a keyword that cannot be honoured is refused by name.</summary>
    public static CompiledGrammar FromJsonSchema(JsonElement schema) => new SchemaConverter(schema).Convert();

    /// <summary>Any JSON object.</summary>
    public static CompiledGrammar AnyJsonObject() => new SchemaConverter(default).ConvertAnyObject();

    /// <summary>Texts that a regular expression matches as a whole; no lookaround and no back references.</summary>
    public static CompiledGrammar FromRegex(string pattern)
    {
        GrammarBuilder builder = new();
        return builder.Build(builder.Add("root", new RegexParser(Checked(pattern)).Parse(isSearch: false)));
    }

    /// <summary>One of some texts.</summary>
    public static CompiledGrammar FromChoices(IReadOnlyList<string> choices)
    {
        if (choices.Count is 0 or > GrammarLimits.Choices || choices.Any(choice => choice.Length == 0))
        {
            throw new GrammarException($"1 to {GrammarLimits.Choices} choices are possible, none of them empty; {choices.Count} were given");
        }

        GrammarBuilder builder = new();
        return builder.Build(builder.Add("root", Pattern.Choice([.. choices.Select(Pattern.Text)])));
    }

    private static string Checked(string source) => source.Length <= GrammarLimits.SourceLength ? source
        : throw new GrammarException($"the grammar has {source.Length} characters; at most {GrammarLimits.SourceLength} are allowed");
}
