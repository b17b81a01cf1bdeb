using System.Text;
using System.Text.Json.Nodes;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.OpenResponses;
using Lamina.Coordinator.Api.Requests;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Api;

/// <summary>The tables of docs/api.md, row by row: what they call honoured (or checked, where no model can honour it) is taken, what they call refused is refused by its name.</summary>
public class FieldTableTests
{
    public static TheoryData<string, string, string, bool> Rows()
    {
        var rows = new TheoryData<string, string, string, bool>();
        string route = "";
        foreach (string line in File.ReadLines(Path.Combine(Repository.Root, "docs", "api.md")))
        {
            if (line.StartsWith("## ", StringComparison.Ordinal))
            {
                route = line[3..];
            }
            else if (line.StartsWith("| `", StringComparison.Ordinal) && line.Split(" | ") is [var name, var value, var outcome, ..] && outcome is "honoured" or "checked" or "400")
            {
                rows.Add(route, name[3..^1], value.Trim('`'), outcome != "400");
            }
        }

        return rows;
    }

    [Fact]
    public void Table_HoldsOpenAIsFields()
    {
        Assert.Equal(5, Rows().Select(row => row.Data.Item1).Distinct().Count());
        Assert.InRange(Rows().Count, 120, 300);
    }

    [Trait("Attack", "C3")]
    [Fact]
    public void Table_NamesATestForEveryHonouredField()
    {
        Dictionary<string, string[]> tests = Directory.EnumerateFiles(Path.Combine(Repository.Root, "tests"), "*Tests.cs", SearchOption.AllDirectories)
            .GroupBy(file => Path.GetFileNameWithoutExtension(file)).ToDictionary(group => group.Key, group => group.Select(File.ReadAllText).ToArray());
        string[][] honoured = [.. File.ReadLines(Path.Combine(Repository.Root, "docs", "api.md")).Select(line => line.Split(" | ")).Where(cells => cells is [_, _, "honoured", ..])];

        Assert.InRange(honoured.Length, 90, 300);
        Assert.All(honoured, cells =>
        {
            string[] shown = cells[^1].Trim('|', ' ').Split('.');
            Assert.True(shown.Length == 2 && tests.TryGetValue(shown[0], out string[]? texts) && texts.Any(text => text.Contains($" {shown[1]}(", StringComparison.Ordinal)), $"{cells[0]} is shown by no test: '{cells[^1]}'");
        });
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void Field_OfTheTable_IsHonouredOrRefusedByName(string route, string field, string value, bool honoured)
    {
        JsonObject body = JsonNode.Parse("""{"model":"m"}""")!.AsObject();
        (string required, string content) = route switch
        {
            "POST /v1/chat/completions" => ("messages", """[{"role":"user","content":"hi"}]"""),
            "POST /v1/completions" => ("prompt", "\"hi\""),
            "POST /v1/rerank" => ("query", "\"hi\""),
            _ => ("input", "\"hi\""),
        };
        body[required] = JsonNode.Parse(content);
        if (route == "POST /v1/rerank")
        {
            body["documents"] = new JsonArray("a");
        }

        body[field] = JsonNode.Parse(value);

        string? refused = Refused(route, Encoding.UTF8.GetBytes(body.ToJsonString()));

        Assert.Equal(honoured ? null : field, refused);
    }

    private static string? Refused(string route, byte[] body)
    {
        try
        {
            switch (route)
            {
                case "POST /v1/chat/completions":
                    _ = ChatCompletionRequest.Parse(body);
                    break;
                case "POST /v1/completions":
                    _ = CompletionRequest.Parse(body);
                    break;
                case "POST /v1/responses":
                    _ = ResponsesRequest.Parse(body);
                    break;
                case "POST /v1/rerank":
                    _ = RerankRequest.Parse(body);
                    break;
                default:
                    _ = EmbeddingRequest.Parse(body);
                    break;
            }

            return null;
        }
        catch (ApiException e)
        {
            return e.Error.Status == 400 ? e.Error.Param : e.ToString();
        }
    }
}
