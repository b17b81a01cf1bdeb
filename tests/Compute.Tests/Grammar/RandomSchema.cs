using System.Text.Json.Nodes;

namespace Lamina.Compute.Tests.Grammar;

/// <summary>Seeded schemas of every supported keyword, nested and mixed, bounded so that answers end. A schema may still be one that is refused.</summary>
internal sealed class RandomSchema(int seed)
{
    private static readonly string[] Names = ["a", "b", "name", "id", "x_1", "x_2", "näme", "with space", "q\"uote", "k"];
    private readonly Random _random = new(seed);
    private bool _usesDefinition;

    public JsonObject Next()
    {
        JsonObject schema = Object(3);
        if (_usesDefinition)
        {
            schema["definitions"] = new JsonObject { ["shared"] = Chance(2) ? Text() : Number() };
        }

        return schema;
    }

    private bool Chance(int oneIn) => _random.Next(oneIn) == 0;

    private JsonObject Schema(int depth) => depth <= 0 ? Scalar() : _random.Next(9) switch
    {
        0 or 1 => Object(depth - 1),
        2 => Array(depth - 1),
        3 => AnyOf(depth - 1),
        4 => OneOf(depth - 1),
        5 => AllOf(depth - 1),
        _ => Scalar(),
    };

    private JsonObject Object(int depth)
    {
        string[] names = [.. Names.OrderBy(_ => _random.Next()).Take(_random.Next(1, 5))];
        var schema = new JsonObject { ["type"] = "object", ["properties"] = new JsonObject([.. names.Select(name => KeyValuePair.Create(name, (JsonNode?)Schema(depth)))]) };
        if (Chance(2))
        {
            schema["required"] = new JsonArray([.. names.Where(_ => Chance(2)).Select(name => (JsonNode)name)]);
        }

        switch (_random.Next(6))
        {
            case 0:
                schema["additionalProperties"] = false;
                break;
            case 1:
                schema["additionalProperties"] = Scalar();
                schema["propertyNames"] = new JsonObject { ["maxLength"] = 10 };
                schema["maxProperties"] = names.Length + 2;
                break;
            case 2:
                schema["patternProperties"] = new JsonObject { ["^x_[0-9]$"] = new JsonObject { ["type"] = "integer", ["minimum"] = 0 }, ["^y.{0,4}$"] = Scalar() };
                schema["properties"]!.AsObject().Remove("x_1");
                schema["properties"]!.AsObject().Remove("x_2");
                schema["maxProperties"] = names.Length + 1;
                schema.Remove("required");
                break;
            case 3:
                schema["minProperties"] = 1;
                break;
        }

        return schema;
    }

    private JsonObject Array(int depth)
    {
        int min = _random.Next(3);
        JsonObject schema = new() { ["type"] = "array", ["minItems"] = min, ["maxItems"] = min + _random.Next(3) };
        if (Chance(4))
        {
            schema["items"] = new JsonObject { ["enum"] = new JsonArray(1, 2, "three", null) };
            schema["uniqueItems"] = true;
        }
        else
        {
            schema["items"] = Schema(depth);
        }

        return schema;
    }

    private JsonObject AnyOf(int depth) => new() { ["anyOf"] = new JsonArray([.. Enumerable.Range(0, _random.Next(1, 4)).Select(_ => (JsonNode)Schema(depth))]) };

    /// <summary>Told apart by type, or by a required constant.</summary>
    private JsonObject OneOf(int depth) => Chance(2)
        ? new() { ["oneOf"] = new JsonArray(new JsonObject { ["type"] = "null" }, Text(), new JsonObject { ["type"] = "array", ["items"] = Schema(depth - 1), ["maxItems"] = 2 }) }
        : new()
        {
            ["oneOf"] = new JsonArray([.. new[] { "cat", "dog" }.Select(kind => (JsonNode)new JsonObject
            {
                ["type"] = "object",
                ["properties"] = new JsonObject { ["kind"] = new JsonObject { ["enum"] = new JsonArray(kind) }, [kind] = Schema(depth - 1) },
                ["required"] = new JsonArray("kind"),
            })]),
        };

    private JsonObject AllOf(int depth) => new()
    {
        ["allOf"] = new JsonArray(
            new JsonObject { ["type"] = "object", ["properties"] = new JsonObject { ["left"] = Schema(depth), ["both"] = new JsonObject { ["type"] = "number", ["minimum"] = _random.Next(5) } } },
            new JsonObject { ["properties"] = new JsonObject { ["right"] = Schema(depth - 1), ["both"] = new JsonObject { ["multipleOf"] = 0.5 } }, ["required"] = new JsonArray("both") }),
    };

    private JsonObject Scalar()
    {
        switch (_random.Next(9))
        {
            case 0:
                return new JsonObject { ["enum"] = new JsonArray("red", "gr\"een", 5, true, null, new JsonObject { ["k"] = new JsonArray(1) }) };
            case 1:
                return new JsonObject { ["type"] = Chance(2) ? "boolean" : "null" };
            case 2:
                _usesDefinition = true;
                return new JsonObject { ["$ref"] = "#/definitions/shared" };
            case 3 or 4:
                return Number();
            default:
                return Text();
        }
    }

    private JsonObject Number()
    {
        bool whole = Chance(2);
        var schema = new JsonObject { ["type"] = whole ? "integer" : "number" };
        double low = whole ? _random.Next(-300, 300) : Math.Round((_random.NextDouble() * 20) - 10, _random.Next(4));
        if (Chance(2))
        {
            schema[Chance(2) ? "minimum" : "exclusiveMinimum"] = low;
        }

        if (Chance(2))
        {
            schema[Chance(2) ? "maximum" : "exclusiveMaximum"] = low + _random.Next(20, 2000);
        }

        if (Chance(3))
        {
            schema["multipleOf"] = whole ? _random.Next(1, 13) : new[] { 0.5, 0.25, 0.1, 0.01, 3 }[_random.Next(5)];
        }

        return schema;
    }

    private JsonObject Text()
    {
        var schema = new JsonObject { ["type"] = "string" };
        switch (_random.Next(5))
        {
            case 0:
                schema["format"] = new[] { "date", "date-time", "uuid", "ipv4", "email", "uri", "hostname" }[_random.Next(7)];
                break;
            case 1:
                schema["pattern"] = new[] { "^[a-z]{2,5}$", "^\\d{3}-\\d{4}$", "^(ab|c\"d)+$", "[xyz]$", "^[^\\s]{1,4}\\\\?$" }[_random.Next(5)];
                schema["maxLength"] = 12;
                break;
            default:
                int min = _random.Next(4);
                schema["minLength"] = min;
                schema["maxLength"] = min + _random.Next(12);
                break;
        }

        return schema;
    }
}
