using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Compute.Grammar;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Grammar;

/// <summary>JSON schemas by the thousand: compiled or refused by a typed error.</summary>
public sealed class HostileSchemaTests
{
    private const string Source = """
        {"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":40},"code":{"type":"string","pattern":"^[a-z]+$"},"age":{"type":"integer","minimum":0,"maximum":150},
        "tags":{"type":"array","items":{"enum":["a","b",3,null]},"minItems":1,"maxItems":4},"kind":{"anyOf":[{"const":"x"},{"$ref":"#/$defs/k"}]},"when":{"type":"string","format":"date"}},
        "required":["name","age"],"additionalProperties":false,"$defs":{"k":{"type":["number","boolean"]}}}
        """;

    private static readonly string[] s_values =
        ["-1", "0", "1e309", "9223372036854775807", "99999999999999999999999999", "null", "[]", "{}", "true", "\"\"", "\"(a+)+$\"", "\"#\"", "\"#/$defs/k/../k\"", "\"\\u0000\"", "[[[[]]]]", "{\"$ref\":\"#\"}", "\"object\"", "[\"string\",\"string\"]"];

    /// <summary>Merged with another schema, as a reference makes it, a name that stands twice was an error of the program.</summary>
    [Trait("Attack", "C4")]
    [Theory]
    [InlineData(GrammarKind.JsonSchema, """{"$ref":"#/$defs/n","$":1,"$":1,"$defs":{"n":{"type":"integer"}}}""")]
    [InlineData(GrammarKind.JsonSchema, """{"type":"object","properties":{"a":{"type":"integer"},"a":{"type":"boolean"}}}""")]
    [InlineData(GrammarKind.JsonSchema, """{"type":"integer","type":"boolean"}""")]
    public void Schema_WithANameTwice_IsRefused(GrammarKind kind, string source) => Assert.Throws<GrammarException>(() => new GrammarSource(kind, source).Compile());

    [Trait("Attack", "C4")]
    [Fact]
    public void Schema_Mutated_IsCompiledOrRefused()
    {
        Random random = new(48942);
        int compiled = 0;
        string? refusal = null;
        int cases = AttackScale.Cases(2_000, 10_000);
        for (int i = 0; i < cases; i++)
        {
            JsonNode schema = JsonNode.Parse(Source)!;
            for (int edits = random.Next(1, 4); edits > 0; edits--)
            {
                Mutate(schema, random);
            }

            string text = schema.ToJsonString();
            try
            {
                using JsonDocument document = JsonDocument.Parse(text);
                CompiledGrammar.FromJsonSchema(document.RootElement);
                compiled++;
            }
            catch (GrammarException e)
            {
                refusal = e.Message;
            }
            catch (Exception e)
            {
                Assert.Fail($"case {i}: {text}\n{e}");
            }
        }

        Assert.True(compiled > cases / 20 && compiled < cases * 19 / 20, $"{compiled} of {cases} compiled; last refusal: {refusal}");
    }

    private static void Mutate(JsonNode root, Random random)
    {
        var places = new List<(JsonNode Parent, string? Name, int Index)>();
        Collect(root, places);
        (JsonNode parent, string? name, int index) = places[random.Next(places.Count)];
        JsonNode? value = JsonNode.Parse(s_values[random.Next(s_values.Length)]);
        if (parent is JsonArray array)
        {
            array[index] = value;
        }
        else if (random.Next(4) == 0)
        {
            parent.AsObject().Remove(name!);
        }
        else
        {
            parent.AsObject()[name!] = value;
        }

        if (places.Count == 1 && root is JsonObject alone)
        {
            alone["type"] = "string";
        }
    }

    private static void Collect(JsonNode? node, List<(JsonNode, string?, int)> places)
    {
        if (node is JsonObject members)
        {
            foreach ((string name, JsonNode? value) in members)
            {
                places.Add((members, name, 0));
                Collect(value, places);
            }
        }
        else if (node is JsonArray array)
        {
            for (int i = 0; i < array.Count; i++)
            {
                places.Add((array, null, i));
                Collect(array[i], places);
            }
        }
    }
}
