using System.Text.Json.Nodes;
using Lamina.Compute.Templates;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Templates;

/// <summary>Templates of published models, against what Jinja2 and llama.cpp give for them.</summary>
public sealed class GoldenTests
{
    private static readonly DateTime Now = new(2024, 7, 26);

    [Fact]
    public void Render_PublishedTemplates_AgreesWithJinja2()
    {
        JsonArray cases = JsonNode.Parse(File.ReadAllText(Repository.Shared("templates/golden.json")))!.AsArray();
        List<string> failures = [];
        foreach (JsonObject golden in cases.Select(node => node!.AsObject()))
        {
            string source = File.ReadAllText(Repository.Shared($"templates/{golden["template"]}"));
            string? expected = golden["expected"]?.GetValue<string>();
            string? actual = Render(source, golden["input"]!.AsObject(), out string error);
            if (actual != expected)
            {
                failures.Add($"{golden["template"]} / {golden["case"]}: {error}\nexpected {expected ?? golden["error"]!.ToString()}\nactual   {actual}");
            }
        }

        Assert.True(failures.Count == 0, $"{failures.Count} of {cases.Count}\n" + string.Join("\n\n", failures));
    }

    [Fact]
    public void Render_InlineTemplates_GiveExpectedText()
    {
        JsonArray cases = JsonNode.Parse(File.ReadAllText(Repository.Shared("templates/inline-cases.json")))!.AsArray();
        (string Role, string Content)[] conversation =
        [
            ("system", "You are a helpful assistant"), ("user", "Hello"), ("assistant", "Hi there"), ("user", "Who are you"),
            ("assistant", "   I am an assistant   "), ("user", "Another question"),
        ];
        Assert.All(cases, node =>
        {
            ChatTokens tokens = new(node!["bos"]!.GetValue<string>(), node["eos"]!.GetValue<string>(), AddsBos: true, AddsEos: true);
            ChatPrompt prompt = new(ChatTemplate.Parse(node["template"]!.GetValue<string>()), toolTemplate: null, tokens);
            JsonArray messages = [.. conversation.Select(turn => (JsonNode)new JsonObject { ["role"] = turn.Role, ["content"] = turn.Content })];
            Assert.Equal(node["expected"]!.GetValue<string>(), prompt.Render(new ChatPromptInput(messages)).Text);
        });
    }

    private static string? Render(string source, JsonObject variables, out string error)
    {
        try
        {
            error = "";
            return ChatTemplate.Parse(source).Render(new TemplateInput(variables, Now)).Text;
        }
        catch (TemplateException exception)
        {
            error = exception.Message;
            return null;
        }
    }
}
