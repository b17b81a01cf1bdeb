using System.Text.Json;
using Lamina.Compute.Grammar;

namespace Lamina.Compute.Tests.Grammar;

public sealed class SchemaTests
{
    [Theory]
    [InlineData("""{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"]}""",
        new[] { "{\"a\":1}", "{ \"a\": -20, \"b\": \"x\\\"y\" }" }, new[] { "{}", "{\"b\":\"x\"}", "{\"a\":1,}", "{\"a\":01}", "{\"a\":1,\"c\":2}" })]
    [InlineData("""{"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"},"c":{"type":"null"}}}""",
        new[] { "{}", "{\"a\":null}", "{\"b\":null,\"c\":null}", "{\"a\":null,\"c\":null}" }, new[] { "{,\"b\":null}", "{\"c\":null,\"a\":null}" })]
    [InlineData("""{"type":"object","properties":{"ab":{"type":"null"}},"additionalProperties":{"type":"boolean"}}""",
        new[] { "{\"ab\":null,\"a\":true}", "{\"abc\":true}", "{\"\":false,\"x\":true}" }, new[] { "{\"ab\":true}", "{\"ab\":null,\"ab\":true}", "{\"a\":1}" })]
    [InlineData("""{"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":2}""",
        new[] { "[true]", "[true, false]" }, new[] { "[]", "[true,true,true]", "[1]" })]
    [InlineData("""{"type":"array","prefixItems":[{"type":"null"},{"type":"integer"}],"items":false,"minItems":2}""", new[] { "[null,1]" }, new[] { "[null]", "[1,null]" })]
    [InlineData("""{"enum":["a\"b",1,null,{"k":[true]}]}""", new[] { "\"a\\\"b\"", "1", "null", "{\"k\":[true]}" }, new[] { "\"a\"", "2" })]
    [InlineData("""{"const":"x"}""", new[] { "\"x\"" }, new[] { "\"y\"", "x" })]
    [InlineData("""{"type":["string","null"],"enum":["a",1,null]}""", new[] { "\"a\"", "null" }, new[] { "1" })]
    [InlineData("""{"oneOf":[{"type":"integer"},{"type":"string"}]}""", new[] { "5", "\"x\"" }, new[] { "true" })]
    [InlineData("""{"oneOf":[{"type":"object","properties":{"k":{"const":"a"}},"required":["k"]},{"type":"object","properties":{"k":{"const":"b"}},"required":["k"]}]}""",
        new[] { "{\"k\":\"a\"}", "{\"k\":\"b\"}" }, new[] { "{\"k\":\"c\"}" })]
    [InlineData("""{"type":["string","null"]}""", new[] { "null", "\"\"" }, new[] { "1" })]
    [InlineData("""{"anyOf":[{"type":"integer"},{"type":"boolean"}]}""", new[] { "5", "true" }, new[] { "\"5\"" })]
    [InlineData("""{"type":"string","minLength":2,"maxLength":3}""", new[] { "\"éé\"", "\"a\\n😀\"" }, new[] { "\"a\"", "\"abcd\"" })]
    [InlineData("""{"type":"string","pattern":"^a\"?[\\\\b]$"}""", new[] { "\"ab\"", "\"a\\\"b\"", "\"a\\\\\"" }, new[] { "\"a\\b\"", "\"abb\"" })]
    [InlineData("""{"type":"string","pattern":"x"}""", new[] { "\"x\"", "\"axb\"" }, new[] { "\"ab\"" })]
    [InlineData("""{"type":"string","format":"date"}""", new[] { "\"2024-02-28\"" }, new[] { "\"2024-02-30\"", "\"2024-13-01\"" })]
    [InlineData("""{"type":"integer","minimum":-5,"maximum":120}""", new[] { "-5", "-1", "0", "7", "99", "100", "120" }, new[] { "-6", "121", "1000", "-0", "00" })]
    [InlineData("""{"type":"integer","exclusiveMinimum":0}""", new[] { "1", "999" }, new[] { "0", "-1" })]
    [InlineData("""{"type":"number","minimum":0,"maximum":1}""", new[] { "0", "0.5", "1" }, new[] { "1.5", "-0.5", "2" })]
    [InlineData("""{"type":"number","minimum":-2,"maximum":10}""", new[] { "-2", "-1.5", "-0.5", "0.5", "9.99", "10" }, new[] { "-2.5", "10.1" })]
    [InlineData("""{"type":"number"}""", new[] { "1", "-2.50", "1e5", "3.1E-2" }, new[] { "1.", ".5", "+1", "01" })]
    [InlineData("""{"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},"required":["v","next"]}}}""",
        new[] { "{\"v\":1,\"next\":{\"v\":2,\"next\":null}}" }, new[] { "{\"v\":1}", "{\"v\":1,\"next\":1}" })]
    [InlineData("{}", new[] { "1", "[{\"a\":[]}]", "\"x\"" }, new[] { "", "[1" })]
    public void Schema_Texts_MatchOrNot(string schema, string[] accepted, string[] rejected)
    {
        CompiledGrammar compiled = Compile(schema);
        Assert.All(accepted, text => Assert.True(Matching.Accepts(compiled, text), text));
        Assert.All(rejected, text => Assert.False(Matching.Accepts(compiled, text), text));
    }

    [Theory]
    [InlineData("""{"type":"object","patternProperties":{}}""", "patternProperties")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"number","multipleOf":2}}}""", "#/properties/a: the keyword 'multipleOf'")]
    [InlineData("""{"type":"array","uniqueItems":true}""", "uniqueItems")]
    [InlineData("""{"type":"thing"}""", "thing")]
    [InlineData("""{"$ref":"#/$defs/x"}""", "points at nothing")]
    [InlineData("""{"$ref":"http://x"}""", "does not point into")]
    [InlineData("""{"$ref":"#"}""", "matches no text")]
    [InlineData("""{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}""", "matches no text")]
    [InlineData("""{"type":"string","format":"zip"}""", "zip")]
    [InlineData("""{"type":"object","required":["a"]}""", "'a' is not among")]
    [InlineData("""{"not":{}}""", "'not'")]
    [InlineData("""{"type":"string","const":5}""", "none of the listed values")]
    [InlineData("""{"type":"string","anyOf":[{"type":"string"}]}""", "'type'")]
    [InlineData("""{"oneOf":[{"type":"integer"},{"type":"number"}]}""", "oneOf")]
    [InlineData("""{"oneOf":[{"const":1},{"enum":[2,1.0]}]}""", "oneOf")]
    [InlineData("""{"const":"a","minLength":3}""", "'minLength'")]
    [InlineData("""{"type":"integer","minimum":3,"maximum":2}""", "no integer")]
    [InlineData("5", "must be an object")]
    public void Schema_Unsupported_IsRefusedByName(string schema, string expected) =>
        Assert.Contains(expected, Assert.Throws<GrammarException>(() => Compile(schema)).Message);

    [Fact]
    public void Schema_RandomDraws_AreWhatTheSchemaAsks()
    {
        CompiledGrammar compiled = Compile("""
            {"type":"object","required":["name","tags","score"],"properties":{
              "name":{"type":"string","maxLength":8},
              "age":{"type":"integer","minimum":0,"maximum":150},
              "tags":{"type":"array","items":{"enum":["a","b"]},"maxItems":3},
              "score":{"type":"number","minimum":-1,"maximum":1},
              "more":{"type":"object","additionalProperties":{"type":"boolean"}}}}
            """);
        Random random = new(11);
        for (int i = 0; i < 200; i++)
        {
            using JsonDocument answer = JsonDocument.Parse(Matching.Draw(compiled, random));
            JsonElement root = answer.RootElement;
            Assert.InRange(new System.Globalization.StringInfo(root.GetProperty("name").GetString()!).LengthInTextElements, 0, 8);
            Assert.InRange(root.GetProperty("tags").GetArrayLength(), 0, 3);
            Assert.InRange(root.GetProperty("score").GetDouble(), -1, 1);
            Assert.True(!root.TryGetProperty("age", out JsonElement age) || age.GetInt32() is >= 0 and <= 150);
            Assert.True(!root.TryGetProperty("more", out JsonElement more) || more.EnumerateObject().All(member => member.Value.ValueKind is JsonValueKind.True or JsonValueKind.False));
        }
    }

    [Fact]
    public void AnyJsonObject_RandomDraws_ParseAsObjects()
    {
        Random random = new(12);
        CompiledGrammar compiled = CompiledGrammar.AnyJsonObject();
        for (int i = 0; i < 100; i++)
        {
            using JsonDocument answer = JsonDocument.Parse(Matching.Draw(compiled, random), new JsonDocumentOptions { MaxDepth = 512 });
            Assert.Equal(JsonValueKind.Object, answer.RootElement.ValueKind);
        }
    }

    private static CompiledGrammar Compile(string schema)
    {
        using JsonDocument document = JsonDocument.Parse(schema);
        return CompiledGrammar.FromJsonSchema(document.RootElement);
    }
}
