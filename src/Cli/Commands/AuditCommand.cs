using System.CommandLine;
using System.Globalization;
using Lamina.Coordinator;
using Lamina.Coordinator.Audit;
using Lamina.Coordinator.State;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina audit</c>: checks and exports a coordinator's audit logs, while it runs or when it does not.</summary>
internal static class AuditCommand
{
    public static Command Create() => new("audit", "Verify and export audit logs.") { Verify(), Export() };

    private static Command Verify()
    {
        Argument<string> folder = FolderArgument();
        Option<string?> anchor = new("--anchor") { Description = "NUMBER:HASH that an earlier verification printed; the log must contain it." };
        Option<string?> config = new("--config") { Description = "Configuration of the coordinator (section Coordinator), whose database notes how far its log goes; otherwise the state.db beside FOLDER, where there is one." };
        Command command = new("verify", "Check each log's chain of hashes and that it goes as far as was noted; exit 1 when one does not hold.") { folder, anchor, config };
        command.SetAction(async (parsed, cancellation) =>
        {
            AuditHead? noted = parsed.GetValue(anchor) is { } text ? ParseAnchor(text) : null;
            string place = parsed.GetRequiredValue(folder);

            // Before the files are read, since a coordinator that runs goes on meanwhile.
            Dictionary<string, AuditHead> heads = await HeadsAsync(place, parsed.GetValue(config), cancellation);
            IReadOnlyDictionary<string, string[]> logs = Find(place, mayBeEmpty: heads.Count > 0);
            if (noted is not null && logs.Count > 1)
            {
                throw new UsageException("--anchor belongs to one log, and the folder has several");
            }

            bool holds = true;
            foreach (string name in logs.Keys.Union(heads.Keys).Order(StringComparer.Ordinal))
            {
                holds &= Verify(name, logs.GetValueOrDefault(name, []), [noted, heads.GetValueOrDefault(name)]);
            }

            return holds ? 0 : 1;
        });
        return command;
    }

    private static bool Verify(string name, string[] files, AuditHead?[] anchors)
    {
        var gaps = new List<string>();
        AuditVerdict verdict = AuditVerifier.Verify(files, [.. anchors.OfType<AuditHead>()], record => gaps.AddRange(record.Contains("\"action\":\"log\"", StringComparison.Ordinal) ? [record] : []));
        Console.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{name}: {verdict.Records} records {(verdict.Problem is null ? "hold" : $"hold, then not: {verdict.Problem}")}; last {verdict.Records}:{verdict.LastHash}"));
        gaps.ForEach(gap => Console.Out.WriteLine($"{name}: something is missing before this record: {gap}"));
        return verdict.Problem is null;
    }

    /// <summary>How far each log goes, as the coordinator's database has it.</summary>
    private static async Task<Dictionary<string, AuditHead>> HeadsAsync(string folder, string? config, CancellationToken cancellation)
    {
        if (config is not null)
        {
            CoordinatorOptions options = Configuration.Read<CoordinatorOptions>(config, "Coordinator");
            CellOptions first = options.Cells[0];
            return (await AuditHeads.ReadAsync(StateOptions.Of(options), cancellation)).Where(noted => noted.Owner == first.Tenant.Value && noted.Name == first.Name).ToDictionary(noted => noted.Name, noted => noted.Head);
        }

        try
        {
            var beside = new StateOptions(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder))) ?? "/");
            return (await AuditHeads.ReadAsync(beside, cancellation)).GroupBy(noted => noted.Name).Where(group => group.Count() == 1).ToDictionary(group => group.Key, group => group.First().Head);
        }
        catch (IOException e)
        {
            Console.Error.WriteLine($"whether something was cut off at the end is not known: {e.Message}");
            return [];
        }
    }

    private static Command Export()
    {
        Argument<string> folder = FolderArgument();
        Command command = new("export", "Print all records as lines of JSON, each log's in order, after checking its chain; exit 1 where one does not hold.") { folder };
        command.SetAction(parsed =>
        {
            foreach ((string name, string[] files) in Find(parsed.GetRequiredValue(folder), mayBeEmpty: false))
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

    private static IReadOnlyDictionary<string, string[]> Find(string folder, bool mayBeEmpty)
    {
        if (!Directory.Exists(folder))
        {
            throw new CommandException($"there is no folder {folder}");
        }

        IReadOnlyDictionary<string, string[]> logs = AuditVerifier.Find(folder);
        return logs.Count > 0 || mayBeEmpty ? logs : throw new CommandException($"there is no audit log in {folder}");
    }

    private static AuditHead ParseAnchor(string text) =>
        AuditHead.Parse(text) ?? throw new UsageException($"--anchor is '{text}', expected NUMBER:HASH with 64 hexadecimal digits");
}
