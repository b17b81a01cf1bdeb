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
    [InlineData("""{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{"type":"null"},"a":{"minimum":5}}}]}""",
        new[] { "{\"a\":5}", "{\"a\":17,\"b\":null}" }, new[] { "{\"a\":4}", "{\"b\":null}", "{\"a\":5,\"c\":1}" })]
    [InlineData("""{"type":"object","properties":{"k":{"type":"string"}},"allOf":[{"$ref":"#/definitions/base"}],"definitions":{"base":{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}}}""",
        new[] { "{\"k\":\"x\",\"id\":1}", "{\"id\":1}" }, new[] { "{\"k\":\"x\"}" })]
    [InlineData("""{"allOf":[{"type":["string","integer"]},{"type":["number","null"]}]}""", new[] { "5" }, new[] { "5.5", "null", "\"x\"" })]
    [InlineData("""{"allOf":[{"enum":[1,2,"a"]},{"enum":["a",2.0,3]}]}""", new[] { "2", "\"a\"" }, new[] { "1", "3" })]
    [InlineData("""{"allOf":[{"type":"string","pattern":"^a"},{"pattern":"b$"}],"maxLength":3}""", new[] { "\"ab\"", "\"axb\"" }, new[] { "\"a\"", "\"axxb\"", "\"xb\"" })]
    [InlineData("""{"allOf":[{"properties":{"a":{"type":"null"}},"additionalProperties":false},{"properties":{"a":{},"b":{}}}]}""", new[] { "{}", "{\"a\":null}" }, new[] { "{\"b\":1}", "{\"a\":1}" })]
    [InlineData("""{"type":"object","properties":{"t":{"type":"string"}},"required":["t"],"anyOf":[{"properties":{"x":{"type":"null"}},"required":["x"]},{"properties":{"y":{"type":"null"}},"required":["y"]}]}""",
        new[] { "{\"t\":\"\",\"x\":null}", "{\"t\":\"\",\"y\":null}" }, new[] { "{\"t\":\"\"}", "{\"x\":null}" })]
    [InlineData("""{"type":"object","patternProperties":{"^n_":{"type":"integer"},"^s_":{"type":"string"}},"additionalProperties":false}""",
        new[] { "{}", "{\"n_a\":1}", "{\"s_\":\"x\",\"n_b\":2}" }, new[] { "{\"n_a\":\"x\"}", "{\"x\":1}", "{\"s_a\":1}" })]
    [InlineData("""{"type":"object","patternProperties":{"a":{"type":"integer"},"b":{"minimum":5}},"additionalProperties":{"type":"null"}}""",
        new[] { "{\"xa\":1}", "{\"ab\":7}", "{\"c\":null}" }, new[] { "{\"ab\":4}", "{\"c\":1}", "{\"a\":null}" })]
    [InlineData("""{"type":"object","properties":{"n_x":{"maximum":9}},"patternProperties":{"^n_":{"type":"integer"}}}""", new[] { "{\"n_x\":9,\"n_y\":10}" }, new[] { "{\"n_x\":10}", "{\"n_x\":1,\"n_x\":10}", "{\"n_x\":\"a\"}" })]
    [InlineData("""{"type":"object","propertyNames":{"enum":["a","b"]},"additionalProperties":{"type":"boolean"}}""", new[] { "{}", "{\"a\":true}", "{\"b\":true,\"a\":false}" }, new[] { "{\"c\":true}", "{\"a\":1}" })]
    [InlineData("""{"type":"object","propertyNames":{"pattern":"^[a-z]+$","maxLength":2}}""", new[] { "{\"ab\":1}" }, new[] { "{\"abc\":1}", "{\"A\":1}", "{\"\":1}" })]
    [InlineData("""{"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"},"c":{"type":"null"}},"required":["b"],"minProperties":2,"maxProperties":2}""",
        new[] { "{\"a\":null,\"b\":null}", "{\"b\":null,\"c\":null}" }, new[] { "{\"b\":null}", "{\"a\":null,\"b\":null,\"c\":null}", "{\"a\":null,\"c\":null}" })]
    [InlineData("""{"type":"object","additionalProperties":{"type":"null"},"minProperties":1,"maxProperties":2}""", new[] { "{\"x\":null}", "{\"x\":null,\"y\":null}" }, new[] { "{}", "{\"x\":null,\"y\":null,\"z\":null}" })]
    [InlineData("""{"type":"object","required":["a"],"additionalProperties":{"type":"integer"}}""", new[] { "{\"a\":1}", "{\"a\":1,\"b\":2}" }, new[] { "{}", "{\"b\":2}" })]
    [InlineData("""{"type":"array","items":{"enum":["a","b",3]},"uniqueItems":true,"minItems":1}""", new[] { "[\"a\"]", "[3,\"a\"]", "[\"b\",\"a\",3]" }, new[] { "[]", "[\"a\",\"a\"]", "[3,\"a\",3]" })]
    [InlineData("""{"type":"array","items":{"type":"boolean"},"uniqueItems":true}""", new[] { "[]", "[true,false]" }, new[] { "[true,true]" })]
    [InlineData("""{"type":"array","items":{"type":"string"},"uniqueItems":true,"maxItems":1}""", new[] { "[]", "[\"x\"]" }, new[] { "[\"x\",\"y\"]" })]
    [InlineData("""{"type":"array","prefixItems":[{"type":"null"},{"type":"integer"}],"minItems":2,"maxItems":2}""", new[] { "[null,1]" }, new[] { "[null]", "[null,1,1]" })]
    [InlineData("""{"type":"array","prefixItems":[{"type":"null"}],"items":{"type":"boolean"}}""", new[] { "[]", "[null]", "[null,true,false]" }, new[] { "[true]", "[null,null]" })]
    [InlineData("""{"type":"array","items":[{"type":"null"},{"type":"boolean"}],"additionalItems":false}""", new[] { "[]", "[null]", "[null,true]" }, new[] { "[true]", "[null,true,1]" })]
    [InlineData("""{"type":"integer","multipleOf":7}""", new[] { "0", "7", "-14", "700" }, new[] { "1", "15", "-6" })]
    [InlineData("""{"type":"integer","multipleOf":25,"minimum":30,"maximum":120}""", new[] { "50", "75", "100" }, new[] { "25", "30", "125" })]
    [InlineData("""{"type":"number","multipleOf":0.01}""", new[] { "0.1", "12.34", "-5", "7.5" }, new[] { "0.001", "1.234" })]
    [InlineData("""{"type":"number","multipleOf":0.25,"minimum":0}""", new[] { "0.25", "1.5", "3", "2.75" }, new[] { "0.3", "1.1", "-0.25" })]
    [InlineData("""{"type":"number","minimum":0.5,"maximum":1.25}""", new[] { "0.5", "0.75", "1", "1.25", "1.2", "1.0", "0.50", "1.250" }, new[] { "0.4", "0", "1.26", "1.3", "2", "-0.6", "0.49" })]
    [InlineData("""{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}""", new[] { "0.5", "0.001", "0.99" }, new[] { "0", "1", "0.0", "1.0", "-0.5" })]
    [InlineData("""{"type":"number","minimum":-1.5,"exclusiveMaximum":-0.25}""", new[] { "-1.5", "-1", "-0.3", "-0.26" }, new[] { "-1.6", "-0.25", "0", "-0.2", "1" })]
    [InlineData("""{"type":"integer","format":"int32","minimum":2147483646}""", new[] { "2147483646", "2147483647" }, new[] { "2147483648", "5" })]
    [InlineData("""{"type":"string","pattern":"^[a-z]+$","minLength":2,"maxLength":3}""", new[] { "\"ab\"", "\"abc\"" }, new[] { "\"a\"", "\"abcd\"", "\"AB\"" })]
    [InlineData("""{"type":"string","format":"uri","maxLength":12}""", new[] { "\"http://a.b\"" }, new[] { "\"http://abcdef.gh\"", "\"x\"" })]
    [InlineData("""{"oneOf":[{"type":"null"},{"$ref":"#/definitions/X"}],"definitions":{"X":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}}}""", new[] { "null", "{\"a\":1}" }, new[] { "{}" })]
    [InlineData("""{"oneOf":[{"type":"object","properties":{"a":{"type":"null"}},"required":["a"]},{"type":"object","properties":{"b":{"type":"null"}},"required":["b"]}]}""", new[] { "{\"a\":null}", "{\"b\":null}" }, new[] { "{}", "{\"a\":null,\"b\":null}" })]
    [InlineData("""{"oneOf":[{"$ref":"#/$defs/Cat"},{"$ref":"#/$defs/Dog"}],"discriminator":{"propertyName":"kind","mapping":{"cat":"#/$defs/Cat"}},"$defs":{"Cat":{"properties":{"kind":{"const":"cat","default":"cat"},"n":{"type":"integer"}},"required":["n"],"title":"Cat","type":"object"},"Dog":{"properties":{"kind":{"const":"dog","default":"dog"}},"title":"Dog","type":"object"}}}""",
        new[] { "{\"kind\":\"cat\",\"n\":1}", "{\"kind\":\"dog\"}" }, new[] { "{\"n\":1}", "{}", "{\"kind\":\"cat\"}" })]
    [InlineData("""{"type":"string","anyOf":[{"minLength":3},{"enum":["a"]}]}""", new[] { "\"abc\"", "\"a\"" }, new[] { "\"b\"", "5" })]
    [InlineData("""{"properties":{"next":{"allOf":[{"$ref":"#"}],"description":"more"},"v":{"type":"null"}},"type":"object","required":["v"]}""", new[] { "{\"v\":null}", "{\"next\":{\"v\":null},\"v\":null}" }, new[] { "{\"next\":{}}" })]
    [InlineData("{}", new[] { "1", "[{\"a\":[]}]", "\"x\"" }, new[] { "", "[1" })]
    public void Schema_Texts_MatchOrNot(string schema, string[] accepted, string[] rejected)
    {
        CompiledGrammar compiled = Compile(schema);
        Assert.All(accepted, text => Assert.True(Matching.Accepts(compiled, text), text));
        Assert.All(rejected, text => Assert.False(Matching.Accepts(compiled, text), text));
    }

    [Theory]
    [InlineData("""{"type":"array","items":{"type":"string"},"uniqueItems":true}""", "uniqueItems")]
    [InlineData("""{"type":"integer","multipleOf":123457}""", "multiples of 123457")]
    [InlineData("""{"type":"integer","multipleOf":0}""", "multipleOf must be above 0")]
    [InlineData("""{"allOf":[{"type":"string"},{"type":"integer"}]}""", "no value is of the types")]
    [InlineData("""{"allOf":[{"format":"date"},{"format":"time"}]}""", "two different 'format'")]
    [InlineData("""{"allOf":[{"required":["a"],"properties":{"a":{}}},{"additionalProperties":false,"properties":{"b":{}}}]}""", "'a' is not allowed")]
    [InlineData("""{"type":"object","additionalProperties":{},"minProperties":3}""", "minProperties")]
    [InlineData("""{"type":"object","properties":{"a":{}},"maxProperties":0,"required":["a"]}""", "number of properties")]
    [InlineData("""{"type":"string","pattern":"^a+$","maxLength":0}""", "leave none")]
    [InlineData("""{"if":{},"then":{}}""", "'if'")]
    [InlineData("""{"type":"array","contains":{}}""", "'contains'")]
    [InlineData("""{"type":"string","nullable":true}""", "'nullable'")]
    [InlineData("""{"type":"object","dependentRequired":{}}""", "'dependentRequired'")]
    [InlineData("""{"$ref":"#","type":"object"}""", "more than 256 parts")]
    [InlineData("""{"type":"thing"}""", "thing")]
    [InlineData("""{"$ref":"#/$defs/x"}""", "points at nothing")]
    [InlineData("""{"$ref":"http://x"}""", "does not point into")]
    [InlineData("""{"$ref":"#"}""", "matches no text")]
    [InlineData("""{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}""", "matches no text")]
    [InlineData("""{"type":"string","format":"zip"}""", "zip")]
    [InlineData("""{"type":"object","required":["a"],"additionalProperties":false}""", "'a' is not among")]
    [InlineData("""{"not":{}}""", "'not'")]
    [InlineData("""{"type":"string","const":5}""", "none of the listed values")]
    [InlineData("""{"type":"string","anyOf":[{"type":"integer"}]}""", "no value is of the types")]
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
