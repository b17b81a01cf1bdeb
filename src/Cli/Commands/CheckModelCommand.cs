using System.CommandLine;
using Lamina.Coordinator.Models.Sandbox;

namespace Lamina.Cli.Commands;

/// <summary>The child process in which a coordinator has an untrusted model file parsed; nobody else has a use for it.</summary>
internal static class CheckModelCommand
{
    public static Command Create()
    {
        Argument<string> path = new("FILE");
        Command command = new("check-model", "Parse a model file with little memory and no network.") { path };
        command.Hidden = true;
        command.SetAction(parsed =>
        {
            Console.Out.WriteLine(ModelCheck.Run(parsed.GetRequiredValue(path)));
            return 0;
        });
        return command;
    }
}
