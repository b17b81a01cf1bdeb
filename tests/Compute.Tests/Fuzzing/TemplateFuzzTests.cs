using System.Text.Json.Nodes;
using Lamina.Compute.Templates;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Fuzzing;

/// <summary>Mutated chat templates: each renders or ends in a typed error, within its budgets.</summary>
public sealed class TemplateFuzzTests(ITestOutputHelper output)
{
    private static readonly string[] Words =
    [
        "{{", "}}", "{%", "%}", "{#", "#}", "-", "{%- for x in messages -%}", "{% endfor %}", "{% if ", "{% elif ", "{% else %}", "{% endif %}", "{% macro m(a, b=1) %}", "{% endmacro %}", "{{ m(m) }}",
        "{% set ns = namespace(a=1) %}", "{% set ns.a = ns.a + 1 %}", "{% set x %}", "{% endset %}", "{% call(y) m() %}", "{% endcall %}", "{% filter upper %}", "{% endfilter %}", "{% generation %}", "{% raw %}", "{% endraw %}",
        "{% break %}", "{% continue %}", "loop.index0", "loop.previtem", "loop.cycle(1, 2)", "loop(x)", " recursive ", "|tojson(indent=4)", "|map(attribute='a')", "|selectattr('role', 'equalto', 'user')", "|join(',')", "|sort", "|unique",
        "|groupby('role')", "|batch(3)", "|length", "|list", "|replace('a', 'aaaaaaaa')", "|indent(40)", "|format(1)", "|wordwrap(1)", "|center(99999999)", "|truncate(3)", "|round(300)", "|int(base=2)", "|default(x)", ".split(',')",
        ".items()", ".format(a=1)", "'%s %d'", "'{0.__class__}'", ".__class__.__mro__", "[::-1]", "[1:2:0]", "[-99999999999:]", "range(99999)", "range(10**10)", "'a' * 99999999", "[[]] * 999", "**99", "//0", "%0", "~", " is defined", " is mapping",
        " not in ", " if 1 else ", "lambda", "raise_exception('x')", "strftime_now('%Y %Z %q')", "messages[0].content", "tools", "none", "true", "1.5e308", "'\\u0000'", "\"\\x41\"", "\\",
    ];

    private static readonly JsonObject Variables = JsonNode.Parse("""
        {"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi <|im_end|> 1,2,3"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":{"a":[1,2.5,null,true]}}}]},
         {"role":"tool","content":"{\"x\":1}","tool_call_id":"c1"},{"role":"user","content":[{"type":"text","text":"part"}]}],
         "tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"array"}}}}}],
         "add_generation_prompt":true,"bos_token":"<s>","eos_token":"</s>"}
        """)!.AsObject();

    [Trait("Attack", "A15")]
    [Fact]
    public void Template_Mutated_RendersOrEndsInATypedError()
    {
        var run = new FuzzRun("templates");
        var fuzzer = new TextFuzzer(Seeds(), Words);
        fuzzer.Run(run, iterations: 1500, source =>
        {
            try
            {
                RenderedPrompt prompt = ChatTemplate.Parse(source).Render(new TemplateInput(Variables, new DateTime(2024, 7, 26)));
                Assert.All(prompt.Trusted, range => Assert.True(range.GetOffsetAndLength(prompt.Text.Length).Length >= 0));
                return $"rendered {int.Log2(prompt.Text.Length + 1):x} {int.Log2(prompt.Trusted.Count + 1):x}";
            }
            catch (TemplateException exception)
            {
                return exception.Message;
            }
        });
        output.WriteLine($"{run}, corpus {fuzzer.CorpusSize}");
    }

    private static List<string> Seeds()
    {
        List<string> seeds =
        [
            "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + (message.content or '')|trim }}{% if loop.last and add_generation_prompt %}{{ eos_token }}{% endif %}{% endfor %}",
            "{% macro show(x, depth=0) %}{% if x is mapping %}{% for k, v in x.items()|sort %}{{ k|indent(depth) }}: {{ show(v, depth + 2) }}{% endfor %}{% elif x is iterable and x is not string %}{% for v in x %}{{ show(v) }},{% endfor %}{% else %}{{ x }}{% endif %}{% endmacro %}{{ show(messages) }}{{ show(tools) }}",
            "{% set ns = namespace(n=0, s='') %}{% for i in range(9) if i % 2 %}{% set ns.n = ns.n + i ** 2 // 3 %}{% set ns.s = ns.s ~ i %}{% endfor %}{{ ns.n }}{{ ns.s[::-1] }}{{ '%05.2f|%-5s' % (ns.n, ns.s) }}{{ tools|tojson(indent=2) }}",
        ];
        string folder = Path.GetFullPath(Path.Combine(Repository.Root, "..", "shared", "templates"));
        if (Directory.Exists(folder))
        {
            seeds.AddRange(Directory.GetFiles(folder, "*.jinja").Order(StringComparer.Ordinal).Select(File.ReadAllText));
        }

        return seeds;
    }
}
