using System.CommandLine;
using System.Globalization;
using Lamina.Coordinator.Audit;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina audit</c>: checks and exports a coordinator's audit logs, while it runs or when it does not.</summary>
internal static class AuditCommand
{
    public static Command Create() => new("audit", "Verify and export audit logs.") { Verify(), Export() };

    private static Command Verify()
    {
        Argument<string> folder = FolderArgument();
        Option<string?> anchor = new("--anchor") { Description = "NUMBER:HASH that an earlier verification printed; the log must contain it." };
        Command command = new("verify", "Check each log's chain of hashes; exit 1 when one does not hold.") { folder, anchor };
        command.SetAction(parsed =>
        {
            (long, string)? noted = parsed.GetValue(anchor) is { } text ? ParseAnchor(text) : null;
            IReadOnlyDictionary<string, string[]> logs = Find(parsed.GetRequiredValue(folder));
            if (noted is not null && logs.Count > 1)
            {
                throw new UsageException("--anchor belongs to one log, and the folder has several");
            }

            bool holds = true;
            foreach ((string name, string[] files) in logs)
            {
                AuditVerdict verdict = AuditVerifier.Verify(files, noted);
                holds &= verdict.Problem is null;
                Console.Out.WriteLine(string.Create(
                    CultureInfo.InvariantCulture, $"{name}: {verdict.Records} records {(verdict.Problem is null ? "hold" : $"hold, then not: {verdict.Problem}")}; last {verdict.Records}:{verdict.LastHash}"));
            }

            return holds ? 0 : 1;
        });
        return command;
    }

    private static Command Export()
    {
        Argument<string> folder = FolderArgument();
        Command command = new("export", "Print all records as lines of JSON, each log's in order, after checking its chain; exit 1 where one does not hold.") { folder };
        command.SetAction(parsed =>
        {
            foreach ((string name, string[] files) in Find(parsed.GetRequiredValue(folder)))
            {
                AuditVerdict verdict = AuditVerifier.Verify(files, record: Console.Out.WriteLine);
                if (verdict.Problem is { } problem)
                {
                    throw new CommandException($"the log of {name} does not hold: {problem}");
                }
            }

            return 0;
        });
        return command;
    }

    private static Argument<string> FolderArgument() => new("FOLDER") { Description = "The folder 'audit' in a coordinator's store." };

    private static IReadOnlyDictionary<string, string[]> Find(string folder)
    {
        if (!Directory.Exists(folder))
        {
            throw new CommandException($"there is no folder {folder}");
        }

        IReadOnlyDictionary<string, string[]> logs = AuditVerifier.Find(folder);
        return logs.Count > 0 ? logs : throw new CommandException($"there is no audit log in {folder}");
    }

    private static (long Number, string Hash) ParseAnchor(string text)
    {
        string[] parts = text.Split(':');
        return parts.Length == 2 && long.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out long number) && parts[1].Length == 64
            ? (number, parts[1])
            : throw new UsageException($"--anchor is '{text}', expected NUMBER:HASH with 64 hexadecimal digits");
    }
}
