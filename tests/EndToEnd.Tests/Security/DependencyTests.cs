using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>The bill of materials that the build wrote, and every locked version against the list of those with known faults.</summary>
public sealed class DependencyTests
{
    [Trait("Attack", "U3")]
    [Fact]
    public void BillOfMaterials_HoldsEveryLockedPackageWithItsHash()
    {
        JsonNode bill = JsonNode.Parse(File.ReadAllText(Repository.File("artifacts/sbom/lamina.cdx.json")))!;
        Assert.Equal(("CycloneDX", "1.6", "lamina"), (bill["bomFormat"]!.GetValue<string>(), bill["specVersion"]!.GetValue<string>(), bill["metadata"]!["component"]!["name"]!.GetValue<string>()));
        Dictionary<string, JsonNode> components = bill["components"]!.AsArray().ToDictionary(component => component!["name"]!.GetValue<string>(), component => component!);
        (string Name, string Version, string Hash)[] locked = [.. Locked(Repository.File("src/Cli/packages.lock.json")).Distinct()];
        Assert.InRange(locked.Length, 30, 500);
        (string Name, string Version, string Licence, string File, string Hash)[] builtIn = [.. File.ReadLines(Repository.File("deploy/sbom/built-in.tsv")).Where(line => !line.StartsWith('#')).Select(line => line.Split('\t'))
            .Select(entry => (entry[0], entry[1], entry[2], entry[3], entry[4]))];
        string[] frameworks = ["Microsoft.NETCore.App", "Microsoft.AspNetCore.App"];
        Assert.Equal(locked.Select(package => package.Name).Concat(builtIn.Select(file => file.Name)).Concat(frameworks).Distinct().Order(), components.Keys.Order());

        // The runtime is installed beside the executable, which asks for this version's major and minor or newer patches.
        Assert.All(frameworks, framework => Assert.Equal(("framework", 10), (components[framework]["type"]!.GetValue<string>(), Version.Parse(components[framework]["version"]!.GetValue<string>()).Major)));
        Assert.All(builtIn, file =>
        {
            // As it was published, its licence beside it.
            Assert.Equal(file.Hash, Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Repository.File(file.File)))));
            Assert.True(File.Exists(Path.Combine(Path.GetDirectoryName(Repository.File(file.File))!, "LICENSE")), file.File);
            Assert.Equal($"pkg:npm/{file.Name}@{file.Version}", components[file.Name]["purl"]!.GetValue<string>());
            Assert.Equal(builtIn.First(other => other.Name == file.Name).Hash, components[file.Name]["hashes"]![0]!["content"]!.GetValue<string>());
        });
        Assert.All(locked, package =>
        {
            JsonNode component = components[package.Name];
            Assert.Equal(package.Version, component["version"]!.GetValue<string>());
            Assert.Equal($"pkg:nuget/{package.Name}@{package.Version}", component["purl"]!.GetValue<string>());
            Assert.Equal(Convert.ToHexStringLower(Convert.FromBase64String(package.Hash)), component["hashes"]![0]!["content"]!.GetValue<string>());
        });
        HashSet<string> known = [.. bill["components"]!.AsArray().Select(component => component!["bom-ref"]!.GetValue<string>())];
        Assert.All(bill["dependencies"]!.AsArray(), dependency => Assert.All(dependency!["dependsOn"]!.AsArray(), needed => Assert.Contains(needed!.GetValue<string>(), known)));
    }

    [Trait("Attack", "U3")]
    [Fact]
    public void LockedVersions_OfAllProjects_HaveNoKnownFault()
    {
        string[] locks = Directory.GetFiles(Repository.Root, "packages.lock.json", SearchOption.AllDirectories);
        Assert.InRange(locks.Length, 6, 100);
        string[] bad = [.. locks.SelectMany(Locked).Distinct().Select(package => Fault(package.Name, package.Version)).OfType<string>().Distinct()];
        Assert.Empty(bad);
    }

    [Theory]
    [InlineData("MessagePack", "2.5.187", true)]
    [InlineData("MessagePack", "2.5.303", false)]
    [InlineData("MessagePack", "2.10.0", false)]
    [InlineData("Akka.Remote", "1.5.51", true)]
    [InlineData("Newtonsoft.Json", "9.0.1-beta1", true)]
    [InlineData("Some.Other", "0.0.1", false)]
    public void Fault_OfAVersion_IsFoundByNumber(string package, string version, bool bad) => Assert.Equal(bad, Fault(package, version) is not null);

    private static string? Fault(string name, string version) =>
        File.ReadLines(Repository.File("deploy/sbom/known-bad.tsv")).Where(line => !line.StartsWith('#')).Select(line => line.Split('\t'))
            .Where(entry => entry[0].Equals(name, StringComparison.OrdinalIgnoreCase) && Number(version) < Number(entry[1])).Select(entry => $"{name} {version} is below {entry[1]}: {entry[2]}").FirstOrDefault();

    private static Version Number(string version) => Version.Parse(version.Split('-', '+')[0]);

    private static IEnumerable<(string Name, string Version, string Hash)> Locked(string path) =>
        JsonNode.Parse(File.ReadAllText(path))!["dependencies"]!.AsObject().SelectMany(framework => framework.Value!.AsObject())
            .Where(package => package.Value!["resolved"] is not null)
            .Select(package => (package.Key, package.Value!["resolved"]!.GetValue<string>(), package.Value!["contentHash"]!.GetValue<string>()));
}
