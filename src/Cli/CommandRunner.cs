using System.CommandLine;
using System.CommandLine.Parsing;
using System.Runtime.InteropServices;
using Lamina.Cli.Output;
using Lamina.Compute.Templates;

namespace Lamina.Cli;

/// <summary>Runs a command line: wrong usage exits 2, a failure prints one sentence and exits 1, an interruption exits 130.</summary>
internal static class CommandRunner
{
    private const int WrongUsage = 2;
    private const int Interrupted = 130;

    /// <summary>On every command: shows logs and the stack trace of a failure.</summary>
    public static Option<bool> Verbose { get; } = new("--verbose") { Description = "Show logs, and the stack trace of a failure.", Recursive = true };

    public static async Task<int> RunAsync(RootCommand root, string[] arguments)
    {
        ParseResult parsed = root.Parse(arguments);
        string[] errors = [.. parsed.Errors.Select(error => error.Message), .. Misspelt(parsed)];
        if (errors.Length > 0)
        {
            foreach (string error in errors)
            {
                await Console.Error.WriteLineAsync($"lamina: {error}");
            }

            await Console.Error.WriteLineAsync("lamina: see 'lamina --help', or 'lamina COMMAND --help'");
            return WrongUsage;
        }

        using CancellationTokenSource interruption = new();
        using PosixSignalRegistration interrupt = Cancel(PosixSignal.SIGINT, interruption);
        using PosixSignalRegistration terminate = Cancel(PosixSignal.SIGTERM, interruption);
        using PosixSignalRegistration hangUp = Cancel(PosixSignal.SIGHUP, interruption);
        try
        {
            InvocationConfiguration configuration = new() { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };
            return await parsed.InvokeAsync(configuration, interruption.Token);
        }
        catch (OperationCanceledException) when (interruption.IsCancellationRequested)
        {
            return Interrupted;
        }
        catch (UsageException exception)
        {
            await Console.Error.WriteLineAsync($"lamina: {exception.Message}");
            return WrongUsage;
        }
        catch (Exception exception)
        {
            await Console.Error.WriteLineAsync($"lamina: {Sentence(exception)}");
            if (parsed.GetValue(Verbose))
            {
                await Console.Error.WriteLineAsync(exception.ToString());
            }

            return 1;
        }
    }

    /// <summary>An option that does not exist would be taken for a file or a text; whoever means one that begins so puts <c>--</c> before it.</summary>
    private static IEnumerable<string> Misspelt(ParseResult parsed) =>
        parsed.Tokens.Any(token => token.Type == TokenType.DoubleDash)
            ? []
            : parsed.CommandResult.Children.OfType<ArgumentResult>().SelectMany(argument => argument.Tokens).Where(token => token.Value.StartsWith("--", StringComparison.Ordinal))
                .Select(token => $"there is no option {token.Value}");

    /// <summary>The innermost message that was written for people; expected failures carry one, others are named as faults of the program.</summary>
    private static string Sentence(Exception exception)
    {
        Exception cause = exception is AggregateException { InnerExceptions.Count: > 0 } many ? many.InnerExceptions[0] : exception;
        return cause switch
        {
            InvalidDataException or NotSupportedException or IOException or UnauthorizedAccessException or TimeoutException
                or ArgumentException or InvalidOperationException or CommandException or OutOfMemoryException or TemplateException => TerminalText.Line(cause.Message),
            _ => $"internal error: {cause.GetType().Name}: {TerminalText.Line(cause.Message)} (--verbose shows where)",
        };
    }

    private static PosixSignalRegistration Cancel(PosixSignal signal, CancellationTokenSource interruption) =>
        PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            interruption.Cancel();
        });
}

/// <summary>An expected failure; the message is one clear sentence for the user.</summary>
internal sealed class CommandException(string message) : Exception(message);

/// <summary>The command line asks for something that cannot be; exit code 2.</summary>
internal sealed class UsageException(string message) : Exception(message);
