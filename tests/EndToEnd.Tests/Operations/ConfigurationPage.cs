using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;
using Lamina.Cli;
using Lamina.Cli.Commands;
using Lamina.Cli.Health;
using Lamina.Cluster.Messages;
using Lamina.Coordinator;
using Lamina.Node;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Operations;

/// <summary>docs/configuration.md as the options' classes say it: keys, kinds and defaults by reflection, meanings from the comments of their properties.</summary>
internal static partial class ConfigurationPage
{
    private static readonly (string Section, Type Options, string Used)[] s_sections =
    [
        ("Coordinator", typeof(CoordinatorOptions), "`lamina coordinator`: the front process of an installation."),
        ("Node", typeof(NodeOptions), "`lamina node`: a worker process of one cell."),
        ("Serve", typeof(ServeOptions), "`lamina serve --config FILE`: coordinator and nodes on one machine."),
        ("Health", typeof(HealthOptions), "Coordinator and node: a listener for probes and Prometheus. Without the section nothing listens."),
        ("Logging", typeof(LogOptions), "Coordinator, node and serve: the log on standard error. `--verbose` asks for Debug at least."),
        ("Tracing", typeof(TracingOptions), "Coordinator, node and serve: spans for an OpenTelemetry collector. Without the section nothing is traced. See [tracing](operations.md#tracing)."),
    ];

    public static string Render()
    {
        var page = new StringBuilder("""
            # Configuration

            This page is made from the options' classes; a test fails when it is stale, and `LAMINA_UPDATE_DOCS=1 ./test EndToEnd -class '*ConfigurationPageTests'` writes it anew.

            Coordinator, node and serve read `lamina.json` of the working folder, or the file that `--config` names, then the environment, which wins: `LAMINA__Coordinator__Listen` is
            `Coordinator:Listen`, `LAMINA__Coordinator__Cells__0__Tenant` is `Coordinator:Cells:0:Tenant`. `N` below counts a list's entries from 0; *name* is a key of the operator's. A key that is
            unknown, or a value that is not of its kind, is refused with its name at start, exit code 1. **Required** ones have no default.


            """.ReplaceLineEndings("\n"));
        foreach ((string section, Type options, string used) in s_sections)
        {
            page.Append(CultureInfo.InvariantCulture, $"## {section}\n\n{used}\n\n| key | kind | default | meaning |\n| --- | --- | --- | --- |\n");
            Append(page, section, options, []);
            page.Append('\n');
        }

        return page.ToString().TrimEnd() + "\n";
    }

    private static void Append(StringBuilder page, string path, Type options, Type[] above)
    {
        object defaults = Activator.CreateInstance(options, nonPublic: true)!;
        IReadOnlyDictionary<string, string> meanings = Meanings(options);
        foreach (PropertyInfo property in options.GetProperties(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly).Where(property => property.SetMethod is not null).OrderBy(property => property.MetadataToken))
        {
            (Type type, string key) = Entry(Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType, $"{path}:{property.Name}");
            Assert.True(meanings.TryGetValue(property.Name, out string? meaning), $"{options.Name}.{property.Name} has no comment");
            bool isRequired = property.GetCustomAttribute<RequiredMemberAttribute>() is not null;
            bool isSection = IsSection(type) && !above.Contains(type);
            string kind = isSection ? "section" : Kind(type);
            page.Append(CultureInfo.InvariantCulture, $"| `{key}` | {kind} | {(isRequired ? "**required**" : isSection ? "" : Default(property.GetValue(defaults)))} | {meaning} |\n");
            if (isSection)
            {
                Append(page, key, type, [.. above, type]);
            }
        }
    }

    private static bool IsSection(Type type) => type.Namespace!.StartsWith("Lamina.", StringComparison.Ordinal) && !type.IsEnum && !type.IsValueType;

    private static (Type Type, string Key) Entry(Type type, string key) => type switch
    {
        { IsGenericType: true } when type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>) => (type.GenericTypeArguments[0], key + ":N"),
        { IsGenericType: true } when type.GetGenericTypeDefinition() == typeof(IReadOnlyDictionary<,>) => (type.GenericTypeArguments[1], key + ":*name*"),
        _ => (type, key),
    };

    private static string Kind(Type type) => type switch
    {
        { IsEnum: true } => string.Join(", ", Enum.GetNames(type)),
        _ when type == typeof(bool) => "true or false",
        _ when type == typeof(int) || type == typeof(long) => "whole number",
        _ when type == typeof(double) => "number",
        _ when type == typeof(Endpoint) => "HOST:PORT",
        _ => "text",
    };

    private static string Default(object? value) => value switch
    {
        null => "none",
        string text => text.Length == 0 ? "empty" : $"`{text}`",
        bool truth => truth ? "true" : "false",
        System.Collections.IEnumerable => "none",
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString()!,
    };

    /// <summary>The summaries of a record's properties; one that stands directly below another shares its comment.</summary>
    private static Dictionary<string, string> Meanings(Type options)
    {
        string room = options.Namespace!.Split('.')[1];
        string[] lines = Directory.EnumerateFiles(Repository.File($"src/{room}"), "*.cs", SearchOption.AllDirectories)
            .Select(File.ReadAllLines).Single(file => file.Contains($"namespace {options.Namespace};") && file.Any(line => line.EndsWith($" record {options.Name}", StringComparison.Ordinal)));
        Dictionary<string, string> meanings = [];
        var comment = new StringBuilder();
        string? shared = null;
        foreach (string line in lines.SkipWhile(line => !line.EndsWith($" record {options.Name}", StringComparison.Ordinal)).Skip(1).TakeWhile(line => line != "}").Select(line => line.Trim()))
        {
            if (line.StartsWith("///", StringComparison.Ordinal))
            {
                comment.Append(line[3..]);
            }
            else if (Property().Match(line) is { Success: true } property)
            {
                shared = comment.Length > 0 ? Plain(comment.ToString()) : shared;
                comment.Clear();
                if (shared is not null)
                {
                    meanings[property.Groups[1].Value] = shared;
                }
            }
            else
            {
                comment.Clear();
                shared = null;
            }
        }

        return meanings;
    }

    private static string Plain(string comment)
    {
        string text = Code().Replace(Reference().Replace(comment, "`$1`"), "`$1`");
        return Tag().Replace(text, " ").Replace("&lt;", "<", StringComparison.Ordinal).Replace("&gt;", ">", StringComparison.Ordinal).Replace("|", "\\|", StringComparison.Ordinal).Trim();
    }

    [GeneratedRegex(@"^public (?:required )?\S+(?: \S+)? (\w+) \{ get; init; \}")]
    private static partial Regex Property();

    [GeneratedRegex("<see cref=\"(?:[^\"]*\\.)?([^\"]+)\"/>")]
    private static partial Regex Reference();

    [GeneratedRegex("<c>(.*?)</c>")]
    private static partial Regex Code();

    [GeneratedRegex("</?summary>")]
    private static partial Regex Tag();
}

public sealed class ConfigurationPageTests
{
    [Fact]
    public void ConfigurationPage_OfTheDocumentation_IsWhatTheOptionsSay()
    {
        string path = Repository.File("docs/configuration.md"), fresh = ConfigurationPage.Render();
        if (Environment.GetEnvironmentVariable("LAMINA_UPDATE_DOCS") == "1")
        {
            File.WriteAllText(path, fresh);
        }

        Assert.Equal(fresh, File.ReadAllText(path));
        Assert.True(fresh.Split('\n').Length > 120, "the page lost its keys");
    }
}
