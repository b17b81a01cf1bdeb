using System.CommandLine;
using Lamina.Cli.Output;
using Lamina.Coordinator;
using Lamina.Coordinator.Cells;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Models.Sources;
using Microsoft.Extensions.Logging;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina model add</c>: from a file, a folder of parts, an HTTPS address or a bucket into a cell's store.</summary>
internal static class ModelAddCommand
{
    public static Command Create(ModelStoreOptions stores)
    {
        Argument<string[]> sources = new("SOURCE") { Description = "GGUF file, folder with the parts of one model, https:// or s3://bucket/key; several addresses for the parts of one model.", Arity = ArgumentArity.OneOrMore };
        Option<string?> name = new("--name") { Description = "Name in the store; from the file's name when not given." };
        Option<string[]> hashes = new("--sha256") { Description = "SHA-256 of the file, 64 hexadecimal digits; required for addresses, one for each part in order." };
        Option<string?> authority = new("--authority") { Description = "PEM file of the authorities that an address's certificate may come from; the system's when not given." };
        Option<string> region = new("--region") { Description = "Region of a bucket.", DefaultValueFactory = _ => "us-east-1" };
        Option<string?> endpoint = new("--endpoint") { Description = "Host of a store that speaks S3; Amazon's when not given." };
        Option<string?> accessKey = new("--access-key-file") { Description = "File with a bucket's access key." };
        Option<string?> secretKey = new("--secret-key-file") { Description = "File with its secret." };
        Command command = new("add", "Put a model into the store: checked, hashed, copied.") { sources, name, hashes, authority, region, endpoint, accessKey, secretKey };
        command.SetAction(async (parsed, cancellation) =>
        {
            using ILoggerFactory loggers = Logging.Create(parsed.GetValue(CommandRunner.Verbose) ? LogLevel.Debug : LogLevel.Warning);
            using ModelStore store = stores.Open(parsed, loggers.CreateLogger("Lamina.Models"), out ModelImportOptions import);
            string[] from = parsed.GetRequiredValue(sources);
            string[] expected = [.. (parsed.GetValue(hashes) ?? []).Select(Hash)];
            var progress = new LoadProgress(quiet: false);
            string? folder = null;
            try
            {
                string file;
                if (from.Any(IsAddress))
                {
                    folder = store.CreateFolder();
                    var bucket = new Lazy<S3Bucket>(() => new S3Bucket(parsed.GetValue(region)!, parsed.GetValue(endpoint), parsed.GetValue(accessKey), parsed.GetValue(secretKey)));
                    file = await DownloadAsync(from, expected, folder, new DownloadLimits { MaxBytes = import.MaxBytes }, parsed.GetValue(authority), bucket, progress, cancellation);
                }
                else
                {
                    file = from is [string only] ? FirstPart(only) : throw new UsageException("give one file or folder; several sources only where they are addresses");
                }

                string? pin = from.Length == 1 && expected.Length == 1 ? expected[0] : null;
                string called = parsed.GetValue(name) ?? ModelNames.Of(new ModelOptions { Path = file }).Value;
                CatalogueEntry entry = await store.AddAsync(called, file, string.Join(' ', from), pin, partsPinned: folder is not null, (done, total) => progress.Report("hashing", done, total), cancellation);
                progress.Done();
                Console.Out.WriteLine($"added {entry.Name} ({store.TrustOf(entry).ToString().ToLowerInvariant()}): {entry.Digest}; deploy it as {ModelStore.StorePrefix}{entry.Name}");
                return 0;
            }
            finally
            {
                if (folder is not null)
                {
                    Directory.Delete(folder, recursive: true);
                }
            }
        });
        return command;
    }

    private static bool IsAddress(string source) => source.Contains("://", StringComparison.Ordinal);

    private static string Hash(string text) => text.Length == 64 && text.All(char.IsAsciiHexDigit)
        ? text.ToLowerInvariant()
        : throw new UsageException($"--sha256 is '{text}', expected 64 hexadecimal digits");

    /// <summary>The file itself, or the first part of the one model that a folder holds.</summary>
    private static string FirstPart(string path)
    {
        if (!Directory.Exists(path))
        {
            return path;
        }

        string[] files = [.. Directory.EnumerateFiles(path, "*.gguf").Order(StringComparer.Ordinal)];
        string[] starts = [.. files.Where(file => !System.Text.RegularExpressions.Regex.IsMatch(file, @"-\d{5}-of-\d{5}\.gguf$") || file.Contains("-00001-of-", StringComparison.Ordinal))];
        return starts is [string first] ? first : throw new CommandException($"the folder {path} holds {starts.Length} models in {files.Length} GGUF files, expected the parts of one");
    }

    private static async Task<string> DownloadAsync(
        string[] sources, string[] hashes, string folder, DownloadLimits limits, string? authority, Lazy<S3Bucket> bucket, LoadProgress progress, CancellationToken cancellation)
    {
        if (hashes.Length != sources.Length)
        {
            throw new UsageException($"{sources.Length} addresses need {sources.Length} times --sha256, found {hashes.Length}: nothing else says that the right bytes came");
        }

        using var download = new HttpsDownload(limits, authority);
        string? first = null;
        for (int i = 0; i < sources.Length; i++)
        {
            if (!Uri.TryCreate(sources[i], UriKind.Absolute, out Uri? source) || source.Scheme is not ("https" or "s3"))
            {
                throw new UsageException($"'{sources[i]}' is no address of a model: https:// or s3://bucket/key");
            }

            bool stored = source.Scheme == "s3";
            Uri address = stored ? bucket.Value.AddressOf(source) : source;
            string file = Path.Combine(folder, FileName(address, i));
            await download.FetchAsync(address, hashes[i], file, stored ? bucket.Value.Authorize : null, (done, total) => progress.Report("fetching", done, total), cancellation);
            first ??= file;
        }

        return first!;
    }

    /// <summary>The last segment of an address, cut down to what a file name may hold: split models are put together by it.</summary>
    private static string FileName(Uri address, int part)
    {
        string name = string.Concat(Path.GetFileName(Uri.UnescapeDataString(address.AbsolutePath)).Where(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_')).TrimStart('.');
        return name.Length is > 0 and <= 200 ? name : $"part-{part}.gguf";
    }
}
