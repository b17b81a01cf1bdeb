using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace Lamina.Cli;

/// <summary>Configuration of the log, section <c>Logging</c> of <c>lamina.json</c>.</summary>
internal sealed record LogOptions
{
    /// <summary>The least severe entries that are written: Trace, Debug, Information, Warning, Error, Critical or None; null = Information, of serve Warning.</summary>
    public LogLevel? Level { get; init; }

    /// <summary>The same for categories that begin so, such as Lamina.Node.Cell or Microsoft.AspNetCore; the longest that fits counts.</summary>
    public IReadOnlyDictionary<string, LogLevel> Levels { get; init; } = new Dictionary<string, LogLevel>();

    /// <summary>json (one object a line), text, or auto: text on a terminal, json elsewhere.</summary>
    public LogFormat Format { get; init; } = LogFormat.Auto;
}

internal enum LogFormat { Auto, Text, Json }

/// <summary>Where a command's log goes: to standard error, so that standard output stays the command's own.</summary>
internal sealed class Logging : IDisposable
{
    private const string LevelVariable = "LAMINA_LOG_LEVEL";

    private Logging(ILoggerFactory factory, bool isJson) => (Factory, IsJson) = (factory, isJson);

    public ILoggerFactory Factory { get; }

    /// <summary>Whether standard error is for machines.</summary>
    public bool IsJson { get; }

    /// <summary>
    /// One line an entry. <c>LAMINA_LOG_LEVEL</c> goes before the command's own level and before the configuration's, and then holds for the web server as well. Throws
    /// <see cref="UsageException"/> when it is no level.
    /// </summary>
    public static ILoggerFactory Create(LogLevel level) => Create(level, new LogOptions(), isJson: false);

    /// <summary>As the configuration wants it.</summary>
    /// <param name="level">Where the configuration names none.</param>
    /// <param name="verbose">At least Debug.</param>
    /// <param name="auto">What auto means where standard error is no terminal.</param>
    public static Logging Open(LogOptions? options, LogLevel level, bool verbose, LogFormat auto = LogFormat.Json)
    {
        options ??= new LogOptions();
        LogLevel least = options.Level ?? level;
        bool isJson = (options.Format == LogFormat.Auto && Console.IsErrorRedirected ? auto : options.Format) == LogFormat.Json;
        return new Logging(Create(verbose && least > LogLevel.Debug ? LogLevel.Debug : least, options, isJson), isJson);
    }

    /// <summary>Says what a program that waits for this one must read, whatever the level.</summary>
    public void Announce(string sentence)
    {
        if (!IsJson)
        {
            Console.Error.WriteLine(sentence);
            return;
        }

        JsonLogFormatter.Write(Console.Error, new LogEntry<string>(LogLevel.Information, "Lamina.Cli", default, sentence, null, (state, _) => state), null);
    }

    public void Dispose() => Factory.Dispose();

    private static LogLevel? Named() => Environment.GetEnvironmentVariable(LevelVariable) is not { Length: > 0 } text ? null
        : Enum.TryParse(text, ignoreCase: true, out LogLevel level) && Enum.IsDefined(level) && !char.IsAsciiDigit(text[0]) ? level
        : throw new UsageException($"{LevelVariable} is '{text}', expected {string.Join(", ", Enum.GetNames<LogLevel>())}");

    private static ILoggerFactory Create(LogLevel own, LogOptions options, bool isJson)
    {
        LogLevel? named = Named();
        LogLevel level = named ?? own;
        return Create(level, named ?? (level > LogLevel.Warning ? level : LogLevel.Warning), options, isJson);
    }

    private static ILoggerFactory Create(LogLevel level, LogLevel ofServer, LogOptions options, bool isJson) => LoggerFactory.Create(builder =>
    {
        builder
            .SetMinimumLevel(level)
            .AddFilter("Microsoft.AspNetCore", ofServer)
            .AddFilter("Microsoft.Extensions.Hosting", LogLevel.None); // start-up failures reach the user as the command's own sentence
        foreach ((string category, LogLevel least) in options.Levels)
        {
            builder.AddFilter(category, least);
        }

        if (isJson)
        {
            builder.AddConsole(console => console.FormatterName = JsonLogFormatter.FormatterName).AddConsoleFormatter<JsonLogFormatter, ConsoleFormatterOptions>(formatter => formatter.IncludeScopes = true);
        }
        else
        {
            builder.AddSimpleConsole(console =>
            {
                console.SingleLine = true;
                console.TimestampFormat = "HH:mm:ss.fff ";
                console.ColorBehavior = LoggerColorBehavior.Disabled;
            });
        }

        builder.Services.Configure<ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
    });
}
