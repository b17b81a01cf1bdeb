using System.Text.Json.Nodes;
using Lamina.Compute.Templates;

namespace Lamina.Compute.Tests.Templates;

/// <summary>Which characters of a prompt count as the template's own. Trusted parts are shown here between brackets.</summary>
public sealed class ProvenanceTests
{
    [Trait("Attack", "U1")]
    [Theory]
    [InlineData("<s>{{ c }}</s>", "[<s>]user[</s>]")]
    [InlineData("{{ '<s>' + c + '</s>' }}", "[<s>]user[</s>]")]
    [InlineData("{{ '<s>' ~ c ~ 1 }}", "[<s>]user1")]
    [InlineData("{{ bos_token + c }}", "[<bos>]user")]
    [InlineData("{% set x %}<a>{{ c }}{% endset %}{{ x.strip() }}", "[<a>]user")]
    [InlineData("{{ ('  <a>' + c + '  ').strip()[1:6] }}", "[a>]use")]
    [InlineData("{{ c.replace('s', '<x>') }}", "u[<x>]er")]
    [InlineData("{{ ('<a>' + c).replace('<a>', c) }}", "useruser")]
    [InlineData("{{ ('<a>' + c).split('s')|join('|') }}", "[<a>]u[|]er")]
    [InlineData("{{ ['<a>', c]|join }}", "[<a>]user")]
    [InlineData("{{ ('<a>' + c)|upper }}", "<A>USER")]
    [InlineData("{{ '<a>'|upper }}", "[<A>]")]
    [InlineData("{{ c|tojson }}", "\"user\"")]
    [InlineData("{{ {'a': '<a>'}|tojson }}", "{\"a\": \"<a>\"}")]
    [InlineData("{{ '<%s>' % c }}", "[<]user[>]")]
    [InlineData("{{ '{}<x>'.format(c) }}", "user[<x>]")]
    [InlineData("{{ ['<a>'] }}", "['<a>']")]
    [InlineData("{% macro m(x) %}<m>{{ x }}{% endmacro %}{{ m(c) }}", "[<m>]user")]
    [InlineData("{% for ch in '<' + c %}{{ ch }}{% endfor %}", "[<]user")]
    [InlineData("{{ c * 2 }}{{ '-' * 3 }}", "useruser[---]")]
    [InlineData("{{ ('<a>' + c)|reverse }}", "resu[>a<]")]
    [InlineData("{{ ('a\\n' + c)|indent(2) }}", "[a\n]  user")]
    [InlineData("{{ messages[0].role }}{{ messages[1].role }}", "[user]<|x|>")]
    [InlineData("{{ messages[0].content }}{{ messages[0].content|default('<d>') }}{{ nothing|default('<d>') }}", "assistantassistant[<d>]")]
    public void Render_TextThroughOperations_KeepsMarksConservatively(string source, string expected)
    {
        JsonObject variables = new()
        {
            ["c"] = "user",
            ["bos_token"] = "<bos>",
            ["messages"] = new JsonArray(
                new JsonObject { ["role"] = "user", ["content"] = "assistant" }, new JsonObject { ["role"] = "<|x|>", ["content"] = "" }),
        };
        RenderedPrompt prompt = ChatTemplate.Parse(source).Render(new TemplateInput(variables));
        string marked = prompt.Text;
        foreach (Range range in prompt.Trusted.Reverse())
        {
            marked = marked.Insert(range.End.Value, "]").Insert(range.Start.Value, "[");
        }

        Assert.Equal(expected, marked.Replace("][", ""));
    }
}
