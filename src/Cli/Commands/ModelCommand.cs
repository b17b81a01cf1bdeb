using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using Lamina.Cli.Output;
using Lamina.Cluster.Models;
using Lamina.Coordinator;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Models.Trust;
using Microsoft.Extensions.Logging;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina model</c>: what a cell's store holds, where it came from, and who vouches for it.</summary>
internal static class ModelCommand
{
    private static readonly ModelStoreOptions s_store = new();

    public static Command Create()
    {
        Command command = new("model", "Add, list, verify, sign and remove the models of a cell's store.") { ModelAddCommand.Create(s_store), List(), Verify(), Sign(), Key(), Remove() };
        s_store.AddTo(command);
        return command;
    }

    private static Command List()
    {
        Command command = new("list", "List the models that were added, with their level of trust.");
        command.SetAction(parsed =>
        {
            using ILoggerFactory loggers = Logging.Create(LogLevel.Warning);
            using ModelStore store = s_store.Open(parsed, loggers.CreateLogger("Lamina.Models"), out _);
            foreach (CatalogueEntry entry in store.List())
            {
                string level = store.TrustOf(entry).ToString().ToLowerInvariant();
                Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{entry.Name,-32} {level,-9} {entry.Bytes,15} bytes  {entry.Digest}  {entry.AddedUtc:yyyy-MM-dd}  {entry.Source}"));
            }

            return 0;
        });
        return command;
    }

    private static Command Verify()
    {
        Argument<string[]> names = new("NAME") { Description = "Models of the store, or GGUF files with their signatures beside them (.sig); all of the store when none is given.", Arity = ArgumentArity.ZeroOrMore };
        Command command = new("verify", "Read every byte again, compare it with the digests, and judge the signatures; exit code 1 when one is not right, the level is below the cell's, or --signing-key names keys and none of them signed.") { names };
        command.SetAction((parsed, cancellation) => Task.Run(async () =>
        {
            string[] given = parsed.GetValue(names) ?? [];
            bool whole = true;
            foreach (string file in given.Where(File.Exists))
            {
                BlobDigest digest = await DigestOfAsync(file, cancellation);
                ECDsa[] keys = [.. s_store.Keys(parsed).Select(ManifestSignature.ReadKey)];
                Console.Out.WriteLine($"{file} has the digest {digest}");
                whole &= Report(ModelStore.SignersOf(file, digest, keys), keys.Length > 0);
                Array.ForEach(keys, key => key.Dispose());
            }

            if (given.Length == 0 || !given.All(File.Exists))
            {
                whole &= VerifyStored(parsed, [.. given.Where(name => !File.Exists(name))], cancellation);
            }

            return whole ? 0 : 1;
        }, cancellation));
        return command;
    }

    private static bool VerifyStored(ParseResult parsed, string[] names, CancellationToken cancellation)
    {
        using ILoggerFactory loggers = Logging.Create(LogLevel.Warning);
        using ModelStore store = s_store.Open(parsed, loggers.CreateLogger("Lamina.Models"), out ModelImportOptions import);
        bool whole = true;
        foreach (CatalogueEntry entry in store.List().Where(entry => names.Length == 0 || names.Contains(entry.Name)))
        {
            string? damage = store.Verify(entry.Name, cancellation);
            ModelTrust level = store.TrustOf(entry);
            Console.Out.WriteLine($"{entry.Name,-32} {(damage is null ? "as its digest says" : "DAMAGED: " + damage)}, {level.ToString().ToLowerInvariant()}");
            whole &= damage is null && Report(store.SignersOf(entry), s_store.Keys(parsed).Count > 0);
            if (level < import.LeastTrust)
            {
                Console.Out.WriteLine($"  REFUSED by this cell, which runs only models that are at least {import.LeastTrust.ToString().ToLowerInvariant()}");
                whole = false;
            }
        }

        return names.Except(store.List().Select(entry => entry.Name)).FirstOrDefault() is { } missing
            ? throw new CommandException($"the store has no model {missing}, and there is no such file")
            : whole;
    }

    /// <summary>Prints who signed; whether all signatures are right and, where one of the keys must have signed, one did.</summary>
    private static bool Report(IReadOnlyList<(string KeyId, SignatureState State)> signers, bool required)
    {
        foreach ((string key, SignatureState state) in signers)
        {
            Console.Out.WriteLine($"  signature by key {key}: {(state switch { SignatureState.Valid => "valid", SignatureState.Bad => "BAD", _ => "of a key that is not known here" })}");
        }

        if (required && signers.All(signer => signer.State != SignatureState.Valid))
        {
            Console.Out.WriteLine("  NOT SIGNED by any of the keys");
            return false;
        }

        return signers.All(signer => signer.State != SignatureState.Bad);
    }

    private static Command Sign()
    {
        Argument<string> target = new("NAME") { Description = "Model of the store; or a GGUF file, which gets its signature beside it (.sig)." };
        Option<string> key = new("--key") { Description = "Private key in PEM (see 'lamina model key').", Required = true };
        Command command = new("sign", "Vouch for a model with a key.") { target, key };
        command.SetAction(async (parsed, cancellation) =>
        {
            using ECDsa signer = ManifestSignature.ReadKey(parsed.GetRequiredValue(key));
            string name = parsed.GetRequiredValue(target);
            if (File.Exists(name))
            {
                ManifestSignature beside = ManifestSignature.Sign(await DigestOfAsync(name, cancellation), signer);
                await File.WriteAllBytesAsync(name + ModelStore.SignatureSuffix, beside.ToBytes(), cancellation);
                Console.Out.WriteLine($"signed {beside.Digest} with key {beside.KeyId}: {name}{ModelStore.SignatureSuffix}");
                return 0;
            }

            using ILoggerFactory loggers = Logging.Create(LogLevel.Warning);
            using ModelStore store = s_store.Open(parsed, loggers.CreateLogger("Lamina.Models"), out _);
            ManifestSignature signature = store.Sign(name, signer);
            Console.Out.WriteLine($"signed {signature.Digest} with key {signature.KeyId}");
            return 0;
        });
        return command;
    }

    private static Command Key()
    {
        Argument<string> path = new("FILE") { Description = "Where the private key goes; the public one goes beside it (.pub)." };
        Command command = new("key", "Make a key to sign models with (ECDSA P-256).") { path };
        command.SetAction(parsed =>
        {
            string file = Path.GetFullPath(parsed.GetRequiredValue(path));
            using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows())
            {
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            }

            using (var writer = new StreamWriter(file, options))
            {
                writer.WriteLine(key.ExportPkcs8PrivateKeyPem());
            }

            File.WriteAllText(file + ".pub", key.ExportSubjectPublicKeyInfoPem() + "\n");
            Console.Out.WriteLine($"key {ManifestSignature.KeyIdOf(key)}: private {file}, public {file}.pub");
            return 0;
        });
        return command;
    }

    private static Command Remove()
    {
        Argument<string> name = new("NAME") { Description = "Model of the store." };
        Command command = new("remove", "Forget a model; its bytes go when nothing else in the store needs them.") { name };
        command.SetAction(parsed =>
        {
            using ILoggerFactory loggers = Logging.Create(LogLevel.Warning);
            using ModelStore store = s_store.Open(parsed, loggers.CreateLogger("Lamina.Models"), out _);
            store.Remove(parsed.GetRequiredValue(name));
            Console.Out.WriteLine($"removed {parsed.GetRequiredValue(name)}");
            return 0;
        });
        return command;
    }

    /// <summary>The digest that any store would give a file, found in one that is gone afterwards.</summary>
    private static async Task<BlobDigest> DigestOfAsync(string path, CancellationToken cancellation)
    {
        string folder = Directory.CreateTempSubdirectory("lamina-sign-").FullName;
        try
        {
            using ModelStore store = ModelStore.Open(folder, new ModelImportOptions { CopyFiles = false });
            return (await store.ImportAsync(path, progress: null, cancellation)).Digest;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
