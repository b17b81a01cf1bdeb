using System.Text.Json;

namespace Lamina.Compute.Grammar.Json;

/// <summary>The members of one schema, and which of them have been read.</summary>
internal sealed class Keywords(JsonElement schema, string path)
{
    private readonly HashSet<string> _taken = [];

    public JsonElement? Take(string name)
    {
        _taken.Add(name);
        return schema.TryGetProperty(name, out JsonElement value) ? value : null;
    }

    public bool Has(string name) => schema.TryGetProperty(name, out _);

    /// <summary>A count from 0, or null.</summary>
    public int? TakeCount(string name) => Take(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Number } number when number.TryGetInt32(out int count) && count is >= 0 and <= GrammarLimits.Repetition => count,
        { } other => throw new GrammarException($"the schema at {path}: {name} is {other.GetRawText()}; it must be between 0 and {GrammarLimits.Repetition}"),
    };

    public decimal? TakeNumber(string name) => Take(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Number } number when number.TryGetDecimal(out decimal value) => value,
        { } other => throw new GrammarException($"the schema at {path}: {name} is {other.GetRawText()}, which is not a usable number"),
    };

    /// <summary>Everything is read elsewhere.</summary>
    public void TakeAll()
    {
        foreach (JsonProperty member in schema.EnumerateObject())
        {
            _taken.Add(member.Name);
        }
    }

    public void CheckAllUsed(HashSet<string> annotations)
    {
        foreach (JsonProperty member in schema.EnumerateObject())
        {
            if (!_taken.Contains(member.Name) && !annotations.Contains(member.Name))
            {
                throw new GrammarException($"the schema at {path}: the keyword '{member.Name}' is not supported here");
            }
        }
    }
}
