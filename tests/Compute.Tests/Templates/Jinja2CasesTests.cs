using System.Text.Json.Nodes;
using Lamina.Compute.Templates;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Templates;

/// <summary>
/// Small templates whose results Jinja2 3.1 gave, configured as Hugging Face does (immutable sandbox, trim_blocks, lstrip_blocks, loop controls; the clock
/// at 2024-07-26 13:04:05); see jinja2-cases.json.
/// </summary>
public sealed class Jinja2CasesTests
{
    [Fact]
    public void Render_EveryCase_AgreesWithJinja2()
    {
        JsonObject file = JsonNode.Parse(File.ReadAllText(Repository.File("tests/Compute.Tests/Templates/jinja2-cases.json")))!.AsObject();
        List<string> failures = [];
        foreach (JsonNode? test in file["cases"]!.AsArray())
        {
            string source = test!["source"]!.GetValue<string>();
            string? expected = test["expected"]?.GetValue<string>();
            string? actual = null, error = null;
            try
            {
                actual = ChatTemplate.Parse(source).Render(new TemplateInput(file["variables"]!.AsObject(), new DateTime(2024, 7, 26, 13, 4, 5))).Text;
            }
            catch (TemplateException exception)
            {
                error = exception.Message;
            }

            if (actual != expected)
            {
                failures.Add($"{source}\nexpected: {expected ?? test["error"]!.GetValue<string>()}\nactual:   {actual ?? error}");
            }
        }

        Assert.True(failures.Count == 0, string.Join("\n\n", failures));
    }
}
