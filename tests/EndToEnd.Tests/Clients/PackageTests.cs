using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Clients;

/// <summary>The packed client alone, in a project that knows nothing of this repository.</summary>
[Collection(ServedOnce.Name)]
public sealed class PackageTests(ServedModel served)
{
    private const string Project = """
        <Project Sdk="Microsoft.NET.Sdk">
          <PropertyGroup>
            <OutputType>Exe</OutputType>
            <TargetFramework>net10.0</TargetFramework>
            <ImplicitUsings>enable</ImplicitUsings>
            <Nullable>enable</Nullable>
            <NoWarn>$(NoWarn);NU1603</NoWarn>
            <RestoreAdditionalProjectSources>$(MSBuildThisFileDirectory)feed</RestoreAdditionalProjectSources>
          </PropertyGroup>
          <ItemGroup>
            <PackageReference Include="Lamina.Client" Version="VERSION" />
          </ItemGroup>
        </Project>
        """;

    private const string Program = """
        using Lamina.Client;
        using Microsoft.Extensions.AI;

        using var client = new LaminaClient(new LaminaClientOptions { Endpoint = new Uri(args[0]) });
        Console.WriteLine((await client.AsChatClient(args[1]).GetResponseAsync("What is 27 + 15?", new ChatOptions { Temperature = 0 })).Text);
        """;

    /// <summary>Every build holds the package to the analysers of native compilation; this compiles and runs it, which takes a minute.</summary>
    [Fact]
    public async Task Package_CompiledAheadOfTime_Answers()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("LAMINA_TEST_LONG") == "1", "takes a minute: LAMINA_TEST_LONG=1 runs it");
        Assert.SkipUnless(Tool.Exists("gcc") || Tool.Exists("clang"), "native compilation needs gcc or clang to link");
        string folder = Directory.CreateTempSubdirectory("lamina-native-").FullName;
        try
        {
            Directory.CreateDirectory(Path.Combine(folder, "feed"));
            string linker = Tool.Exists("clang") ? "clang" : "gcc";
            string project = Project.Replace("<OutputType>", $"<PublishAot>true</PublishAot><InvariantGlobalization>true</InvariantGlobalization><TreatWarningsAsErrors>true</TreatWarningsAsErrors><CppCompilerAndLinker>{linker}</CppCompilerAndLinker><OutputType>", StringComparison.Ordinal)
                .Replace("<PackageReference Include=\"Lamina.Client\" Version=\"VERSION\" />", $"<ProjectReference Include=\"{Repository.File("src/Client/Client.csproj")}\" />", StringComparison.Ordinal);
            await File.WriteAllTextAsync(Path.Combine(folder, "native.csproj"), project);
            await File.WriteAllTextAsync(Path.Combine(folder, "Program.cs"), Program);
            await Tool.RunAsync("dotnet", ["publish", "-c", "Release", "--use-current-runtime", "-nologo", "-o", Path.Combine(folder, "out")], TimeSpan.FromMinutes(9), folder);
            string answer = await Tool.RunAsync(Path.Combine(folder, "out", "native"), [served.Http.BaseAddress!.ToString(), ServedModel.ModelName], TimeSpan.FromMinutes(1), folder);
            Assert.Equal("27 + 15 = 42.", answer.Trim());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Package_EmptyConsoleProject_RestoresAndAnswers()
    {
        TimeSpan limit = TimeSpan.FromMinutes(5);
        string folder = Directory.CreateTempSubdirectory("lamina-package-").FullName;
        try
        {
            // A version of its own and a package folder of its own, so that no earlier build is found instead.
            string version = $"0.1.0-test.{Environment.ProcessId}";
            await Tool.RunAsync("dotnet", ["pack", Repository.File("src/Client/Client.csproj"), "-c", "Release", "--no-build", "-o", Path.Combine(folder, "feed"), $"-p:Version={version}", "-nologo"], limit);
            await File.WriteAllTextAsync(Path.Combine(folder, "empty.csproj"), Project.Replace("VERSION", version, StringComparison.Ordinal));
            await File.WriteAllTextAsync(Path.Combine(folder, "Program.cs"), Program);
            string packages = Path.Combine(folder, "packages");
            string known = Environment.GetEnvironmentVariable("NUGET_PACKAGES") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
            await Tool.RunAsync(
                "dotnet", ["build", "-c", "Release", "-nologo", $"-p:RestorePackagesPath={packages}", $"-p:RestoreFallbackFolders={known}", "-o", Path.Combine(folder, "out")], limit, folder);
            Assert.True(Directory.Exists(Path.Combine(packages, "lamina.client", version)));
            string answer = await Tool.RunAsync("dotnet", [Path.Combine(folder, "out", "empty.dll"), served.Http.BaseAddress!.ToString(), ServedModel.ModelName], limit, folder);
            Assert.Equal("27 + 15 = 42.", answer.Trim());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
