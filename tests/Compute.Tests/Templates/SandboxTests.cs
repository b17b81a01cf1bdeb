using System.Text.Json.Nodes;
using Lamina.Compute.Templates;
using Lamina.Compute.Tests.Fuzzing;

namespace Lamina.Compute.Tests.Templates;

/// <summary>Templates come with model files that anybody may have made: each of these must end in a typed error, soon and in little memory.</summary>
public sealed class SandboxTests(ITestOutputHelper output)
{
    private const int Attempts = 5;

    /// <summary>Of the processor. The longest take 50 on a quiet machine, and twice that with neighbours in its caches.</summary>
    private const double MostMilliseconds = 250;
    private const long MostAllocated = 64L << 20;

    public static TheoryData<string> Hostile => new()
    {
        "{{ " + new string('(', 100_000) + "1" + new string(')', 100_000) + " }}",
        "{{ " + new string('[', 100_000) + " }}",
        "{{ " + string.Concat(Enumerable.Repeat("not ", 100_000)) + "1 }}",
        "{{ " + new string('-', 100_000) + "1 }}",
        "{{ " + string.Concat(Enumerable.Repeat("{'a':", 100_000)) + " }}",
        "{{ 1" + string.Concat(Enumerable.Repeat("+1", 100_000)) + " }}",
        "{{ 1" + string.Concat(Enumerable.Repeat("|abs", 100_000)) + " }}",
        "{{ x" + string.Concat(Enumerable.Repeat(".a", 100_000)) + " }}",
        "{{ 1" + string.Concat(Enumerable.Repeat(" if 1 else 1", 100_000)) + " }}",
        string.Concat(Enumerable.Repeat("{% if 1 %}", 100_000)),
        "{% set " + new string('(', 100_000),
        "{{ range(10**9) }}",
        "{{ range(-9223372036854775807, 9223372036854775807) }}",
        "{{ 'a' * 10**9 }}",
        "{{ [1] * 10**9 }}",
        "{{ 10**1000000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 'a'.center(10**9) }}{{ 'a'.zfill(10**9) }}",
        "{{ 'a'|indent(10**9, true) }}" + "{{ 'ab'.ljust(10**9) }}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s.replace('a', 'aaaa') %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s|tojson }}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(40) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s == ns.s + [] }}{% set t = ns.s %}{{ [t[0],t[1]] == [t[1], t[0]] }}{{ ns.s }}",
        "{% set ns = namespace(s=[1], t=[1]) %}{% for i in range(40) %}{% set ns.s = [ns.s, ns.s] %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.s == ns.t }}",
        "{{ {[1]: 2} }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.__init__.__globals__ }}",
        "{{ cycler.__init__ }}",
        "{{ lipsum() }}",
        "{{ ''|attr('__class__')|attr('x') }}",
        "{{ self._TemplateReference__context }}",
        "{% import 'os' as os %}",
        "{% include '/etc/passwd' %}",
        "{{ 'x'.encode() }}",
        "{{ raise_exception }}{{ messages.append({}) }}",
        "{{ \"" + new string('\\', 3),
        "{{ '\\U99999999' }}",
        "{% raw %}",
        "{#",
        "{{ 1 ",
        "{{ strftime_now('%Q') }}",
    };

    /// <summary>What a template says is wrong becomes the body of an error.</summary>
    [Trait("Attack", "A15")]
    [Fact]
    public void RaiseException_WithALongMessage_SaysItsBeginning() =>
        Assert.Equal("line 1: " + new string('a', 1000) + " ...", Assert.Throws<TemplateException>(() => Render("{{ raise_exception('a' * 100000) }}")).Message);

    [Trait("Attack", "C1")]
    [Trait("Attack", "C2")]
    [Theory]
    [MemberData(nameof(Hostile), DisableDiscoveryEnumeration = true)]
    public void Template_Hostile_IsATypedErrorWithinLimits(string source)
    {
        Render("warm up");

        // By the thread's own processor time, which a loaded machine lengthens least; the first attempt compiles code on the way.
        double best = double.MaxValue;
        long least = long.MaxValue;
        for (int attempt = 0; attempt < Attempts && (best > MostMilliseconds || attempt == 0); attempt++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            TimeSpan start = ThreadTime.Now;
            Assert.Throws<TemplateException>(() => Render(source));
            best = Math.Min(best, (ThreadTime.Now - start).TotalMilliseconds);
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        output.WriteLine($"{best:f0} ms, {least >> 20} MiB: {source[..Math.Min(source.Length, 60)]}");
        Assert.InRange(best, 0, MostMilliseconds);
        Assert.InRange(least, 0, MostAllocated);
    }

    [Fact]
    public void Template_LargePrompt_IsRendered()
    {
        string content = new('x', 1 << 20);
        string text = Render("{{ '<|user|>' + message.content.strip() + '<|end|>' }}{% for m in [1] %}{{ message.content|trim }}{% endfor %}",
            new JsonObject { ["message"] = new JsonObject { ["content"] = content } });
        Assert.Equal("<|user|>" + content + "<|end|>" + content, text);
    }

    [Trait("Attack", "A15")]
    [Fact]
    public void Template_RandomMutations_EndInTextOrTypedError()
    {
        const string Source = "{% set ns = namespace(a=1) %}{%- for m in messages if m.role != 'x' -%}{{ '<|' ~ m['role'] + '|>' }}"
            + "{% if loop.first and not (m.content is string) %}{{ m | tojson(indent=2) }}{% else %}{{ m.content[1:-1].strip() }}{% endif %}{% endfor %}"
            + "{% macro f(a, b=2) %}{{ a + b }}{% endmacro %}{{ f(1) }}{# note #}";
        Random random = new(20240726);
        for (int i = 0; i < 3000; i++)
        {
            char[] mutated = Source.ToCharArray();
            for (int edits = random.Next(1, 5); edits > 0; edits--)
            {
                mutated[random.Next(mutated.Length)] = Source[random.Next(Source.Length)];
            }

            try
            {
                Render(new string(mutated));
            }
            catch (TemplateException)
            {
            }
        }
    }

    private static string Render(string source, JsonObject? variables = null) => ChatTemplate.Parse(source).Render(new TemplateInput(
        variables ?? new JsonObject { ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "hi there" }) }, DateTime.UnixEpoch)).Text;
}
