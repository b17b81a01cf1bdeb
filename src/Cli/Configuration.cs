using Microsoft.Extensions.Configuration;

namespace Lamina.Cli;

/// <summary>Reads a section of the configuration: <c>lamina.json</c>, then environment (<c>LAMINA__Section__Key</c>), later ones winning.</summary>
internal static class Configuration
{
    /// <summary>Binds strictly: an unknown key or a value of the wrong kind is refused with its name.</summary>
    /// <param name="path">Null reads <c>lamina.json</c> of the working folder where there is one.</param>
    public static T Read<T>(string? path, string section)
        where T : class => Find<T>(path, section)
            ?? throw new CommandException($"the configuration has no section {section}; it comes from lamina.json, --config FILE, or environment variables LAMINA__{section}__Key");

    /// <summary>The same for a section that may be absent: null then.</summary>
    public static T? Find<T>(string? path, string section)
        where T : class
    {
        ConfigurationBuilder builder = new();
        if (path is not null || File.Exists("lamina.json"))
        {
            string file = Path.GetFullPath(path ?? "lamina.json");
            if (!File.Exists(file))
            {
                throw new CommandException($"the configuration file {path} does not exist");
            }

            builder.AddJsonFile(file, optional: false);
        }

        builder.AddEnvironmentVariables("LAMINA__");
        try
        {
            IConfigurationSection found = builder.Build().GetSection(section);
            return found.Exists()
                ? found.Get<T>(binder => binder.ErrorOnUnknownConfiguration = true)
                : null;
        }
        catch (InvalidDataException exception)
        {
            throw new CommandException($"the configuration file {path ?? "lamina.json"} cannot be read: {exception.InnerException?.Message ?? exception.Message}");
        }
        catch (InvalidOperationException exception)
        {
            throw new CommandException($"the configuration section {section} is invalid: {exception.Message}{(exception.InnerException is { } inner ? " " + inner.Message : "")}");
        }
    }
}
